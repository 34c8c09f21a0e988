"""Attention between slices, and followed through all layers, against the whole matrices of small networks."""

import pytest
import torch

from fima.errors import InputError
from fima.models import create_backbone
from fima.models.attention import attention_between_slices, attention_layers, attention_rollout, read_attention
from fima.models.attention_cells import attention_between_cells
from fima.models.capture import capture

VIT = {"dim": 32, "depth": 3, "heads": 2, "patch_size": 8, "size": 16, "num_frames": 8}
SMALL = {
    "videomae": ("videomae", VIT),
    "vjepa2": ("vjepa2", VIT),
    "divided": ("timesformer", {**VIT, "num_frames": 3}),
    "joint": ("timesformer", {**VIT, "num_frames": 3, "attention": "joint"}),
    "space": ("timesformer", {**VIT, "num_frames": 3, "attention": "space"}),
}


def small(name):
    """The network with weights large enough that attention is far from even, and a clip for it."""
    arch, settings = SMALL[name]
    torch.manual_seed(0)
    backbone = create_backbone(arch, **settings).eval()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return backbone, torch.randn(2, 3, settings["num_frames"], 16, 24)


def matrices(backbone, clip):
    """Layer → softmax weights ``(batch, heads, Q, K)``, all at once."""
    kinds = attention_layers(backbone)
    with torch.no_grad(), capture(backbone, kinds, lambda layer, inputs, _: layer.heads_of(*inputs)[:2]) as seen:
        grid = backbone(clip).shape[2:]
    return {
        name: (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1) for name, ((q, k),) in seen.items()
    }, grid  # fmt: skip


def token_matrix(weights, kind, grid, count, first):
    """One layer over all tokens, class tokens first, as a matrix ``(N, heads, L, L)`` filled entry by entry."""
    steps, height, width = grid
    places, heads = height * width, weights.shape[1]
    size = first + steps * places
    whole = torch.zeros(count, heads, size, size)
    if kind == "cells":
        return weights
    for n in range(count):
        for t in range(steps):
            for p in range(places):
                row = first + t * places + p
                if kind == "time":
                    for q in range(steps):
                        whole[n, :, row, first + q * places + p] = weights[n * places + p, :, t, q]
                else:
                    own = weights[n * steps + t, :, 1 + p]
                    whole[n, :, row, first + t * places : first + (t + 1) * places] = own[:, 1:]
                    whole[n, :, row, t if first == steps else 0] = own[:, 0]
    for number in range(first):
        if kind == "time":
            whole[:, :, number, number] = 1
        else:
            frames = range(steps) if first == 1 else [number]
            for n in range(count):
                for t in frames:
                    own = weights[n * steps + t, :, 0]
                    whole[n, :, number, first + t * places : first + (t + 1) * places] += own[:, 1:] / len(frames)
                    whole[n, :, number, t if first == steps else 0] += own[:, 0] / len(frames)
    return whole


@pytest.mark.parametrize("cell", [None, (1, 0, 2)], ids=["mean", "cell"])
@pytest.mark.parametrize("name", SMALL)
def test_followed_through_all_layers(name, cell):
    backbone, clip = small(name)
    weights, grid = matrices(backbone, clip)
    steps, height, width = grid
    first = {"divided": 1, "joint": 1, "space": steps}.get(name, 0)
    row = torch.zeros(2, first + grid.numel())
    row[:, first:] = 1 / grid.numel()
    if cell is not None:
        row.zero_()
        row[:, first + (cell[0] * height + cell[1]) * width + cell[2]] = 1
    kinds = attention_layers(backbone)
    for layer in reversed(kinds):
        matrix = token_matrix(weights[layer], kinds[layer], grid, 2, first).mean(dim=1)
        row = (row + torch.einsum("nl,nlk->nk", row, matrix)) / 2
    found = attention_rollout(backbone, clip, cell=cell)
    torch.testing.assert_close(found.flatten(1), row[:, first:])


@pytest.mark.parametrize("name", SMALL)
def test_between_slices(name):
    """The mean over the queries of a slice of the block's weights; of divided attention, of the product of both."""
    backbone, clip = small(name)
    weights, grid = matrices(backbone, clip)
    steps, height, width = grid
    places = height * width
    first = {"divided": 1, "joint": 1, "space": steps}.get(name, 0)
    last = [layer for layer in weights if layer.startswith("blocks.2.")]
    kinds = attention_layers(backbone)
    full = {kinds[n]: token_matrix(weights[n], kinds[n], grid, 2, first)[:, :, first:, first:] for n in last}
    whole = full.get("cells", full.get("space"))
    if "time" in full:
        whole = full["space"] @ full["time"].mean(dim=1, keepdim=True)
    whole = whole.reshape(2, -1, steps, places, *grid)
    torch.testing.assert_close(attention_between_slices(backbone, clip), whole.mean(dim=3))
    cells = attention_between_cells(backbone, clip)
    torch.testing.assert_close(cells, whole.mean(dim=1).flatten(-2))
    of_cell = attention_between_slices(backbone, clip, cell=(2, 1, 0))
    torch.testing.assert_close(of_cell, whole[:, :, 2:3, width])


def test_mean_over_slices_is_what_each_cell_receives():
    backbone, clip = small("vjepa2")
    for block in ("blocks.0", "blocks.2.attn"):
        received = read_attention(backbone, clip, [f"{block[:8]}.attn"])[f"{block[:8]}.attn"]
        torch.testing.assert_close(attention_between_slices(backbone, clip, block).mean(dim=2), received)


@pytest.mark.parametrize(
    ("arch", "layer", "cell", "said"),
    [
        ("tiny", None, None, "Tiny has no attention over its cells"),
        ("videomae", "norm", None, "no one attention in layer norm; there is blocks.0.attn"),
        ("videomae", None, (0, 9, 0), r"cell \(0, 9, 0\) is outside the grid \(4, 2, 2\)"),
    ],
)
def test_refused(arch, layer, cell, said):
    settings = VIT if arch == "videomae" else {}
    with pytest.raises(InputError, match=said):
        attention_between_slices(create_backbone(arch, **settings), torch.zeros(1, 3, 8, 16, 16), layer, cell=cell)


@pytest.mark.parametrize("cell", [(0, 2, 0), (-1, 0, 0)])
def test_a_cell_outside_the_grid_cannot_be_followed(cell):
    backbone, clip = small("vjepa2")
    with pytest.raises(InputError, match=r"cell \(.*\) is outside the grid \("):
        attention_rollout(backbone, clip, cell=cell)


@pytest.mark.parametrize("arch", ["hiera", "uniformer"])
def test_cells_that_merge_cannot_be_followed(arch):
    backbone = create_backbone(arch)
    with pytest.raises(InputError, match="cannot be followed"):
        attention_rollout(backbone, torch.zeros(1, 3, 16, 32, 32))
