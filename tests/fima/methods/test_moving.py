"""L_move: the activation map lies on what moves by itself; the masks follow every crop and go through workers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.localization import localization_scores
from fima.data.datasets import open_dataset
from fima.data.window_batches import collate_windows
from fima.data.windows import WindowDataset
from fima.errors import InputError
from fima.methods import FIMA, MoCo
from fima.methods.moving import MovingHead, activation_share, standardized_activation
from fima.seeding import SampleKeys
from fima.transforms.views import make_views

WORLD = "shapes:easy,videos=4,size=64,num_frames=24"


def square(n=2, slices=2, side=8):
    """Masks of a 2 × 2 square of cells, 8 pixels each, and feature maps that are 1 there."""
    cells = torch.zeros(n, slices, side, side)
    cells[:, :, 2:4, 5:7] = 1
    return cells.repeat_interleave(8, -1).repeat_interleave(8, -2).repeat_interleave(4, 1), cells[:, None].repeat(
        1, 3, 1, 1, 1
    )


def test_a_map_on_the_object_is_told_from_one_beside_it():
    masks, features = square()
    head = MovingHead()
    on, off = head(features, masks), head(features.roll(3, -1), masks)
    assert on.accuracy == 1
    assert off.accuracy == 0
    assert on.loss < 0.2 < off.loss


def test_by_hand():
    """One slice of two cells: standardized to ∓1/√2, or half the mask in the second."""
    features = torch.tensor([1.0, 3.0]).view(1, 1, 1, 1, 2)
    masks = torch.tensor([0.0, 0.0, 1.0, 0.0]).view(1, 1, 1, 4)
    z = np.array([-1, 1]) / np.sqrt(2) / (1 + 1e-4 / np.sqrt(2))
    p = 1 / (1 + np.exp(-(2 * z - 1)))
    wanted = -np.mean([np.log(1 - p[0]), 0.5 * np.log(p[1]) + 0.5 * np.log(1 - p[1])])
    assert float(MovingHead()(features, masks).loss.detach()) == pytest.approx(wanted, abs=1e-4)


@given(st.floats(0.1, 100), st.floats(-50, 50))
def test_only_the_shape_of_the_map_counts(scale, offset):
    masks, features = square()
    features = features + torch.linspace(0, 0.5, 8)
    changed = MovingHead()(features * scale + offset, masks)
    torch.testing.assert_close(changed.loss, MovingHead()(features, masks).loss, atol=5e-3, rtol=0)
    assert standardized_activation(features).std(dim=(-2, -1)) == pytest.approx(1, abs=1e-3)


def test_share_of_the_activation_by_hand():
    """Above the least active cell: 0, 1 and 3 of 4; the third cell is the object, half of the second too."""
    activation = torch.tensor([1.0, 2.0, 4.0]).view(1, 1, 1, 3)
    for share, wanted in (([0, 0, 1], 0.75), ([0, 0.5, 1], 0.875), ([1, 0, 0], 0.0), ([1, 1, 1], 1.0)):
        found = activation_share(activation, torch.tensor(share).view(1, 1, 1, 3))
        assert float(found) == pytest.approx(wanted, abs=1e-6)
    assert float(activation_share(activation * 7 - 3, torch.tensor([0, 0, 1.0]).view(1, 1, 1, 3))) == pytest.approx(
        0.75
    )


def test_a_floor_off_the_object_costs_energy():
    """The part is −log of the share, over the slices that show the object; with one slice in two without it, of one."""
    masks, features = square(n=1)
    masks[:, 4:] = 0  # the second slice shows none
    features = features + torch.linspace(0, 0.5, 8)
    share = activation_share(features[:, 0], masks.unfold(1, 4, 4)[..., ::8, ::8, 0])[0, 0]
    plain, with_energy = MovingHead()(features, masks).loss, MovingHead(0.5)(features, masks).loss
    assert (with_energy - plain).item() == pytest.approx(-0.5 * math.log(share), abs=1e-4)
    nothing = MovingHead(0.5)(features, torch.zeros_like(masks))
    torch.testing.assert_close(nothing.loss, MovingHead()(features, torch.zeros_like(masks)).loss)


def test_the_share_is_the_measures_energy_inside():
    """Of a map whose least value is 0, as the measure's scaled maps have it."""
    generator = torch.Generator().manual_seed(1)
    activation = torch.rand(3, 1, 6, 6, generator=generator, dtype=torch.float64)
    activation -= activation.amin(dim=(-2, -1), keepdim=True)
    mask = torch.rand(3, 1, 6, 6, generator=generator) > 0.6
    wanted = localization_scores(activation, mask)["energy"]
    torch.testing.assert_close(activation_share(activation, mask.double())[:, 0], wanted, atol=1e-6, rtol=0)


def test_flat_maps_have_gradients():
    masks, features = square()
    flat = torch.ones_like(features, requires_grad=True)
    MovingHead(0.1)(flat, masks).loss.backward()
    assert flat.grad.isfinite().all()


def test_masks_of_other_clips_are_refused():
    masks, features = square()
    with pytest.raises(InputError, match=r"masks must be \(2, T, H, W\)"):
        MovingHead()(features, masks[:1])


def test_masks_are_cut_as_the_global_clips_are():
    generator = torch.Generator().manual_seed(0)
    masks = [torch.randint(0, 256, (2, 8, 40, 50), generator=generator, dtype=torch.uint8) for _ in range(3)]
    windows = [mask[..., None].repeat(1, 1, 1, 1, 3) for mask in masks]
    views = make_views(windows, SampleKeys(1, 0, np.arange(3)), size=24, masks=masks)
    torch.testing.assert_close(views.masks, views.global_clips[:, :, 1], atol=0, rtol=0)
    assert views.to("cpu").masks is not None
    with pytest.raises(InputError, match="the masks of a window must be"):
        make_views(windows, SampleKeys(1, 0, np.arange(3)), size=24, masks=[mask[:, 1:] for mask in masks])


@pytest.mark.parametrize("workers", [0, 2])
def test_windows_bring_the_masks_of_their_frames(workers):
    records = open_dataset(WORLD, split="train").records
    dataset = WindowDataset(records, num_frames=8, masks=True)
    loader = torch.utils.data.DataLoader(dataset, batch_size=4, num_workers=workers, collate_fn=collate_windows)
    batch = next(iter(loader))
    for record, window, mask in zip(records, batch.windows, batch.masks, strict=True):
        drawn = record.draw()
        frames = drawn.frames(np.arange(24))
        for view in range(2):
            start = next(i for i in range(24) if np.array_equal(frames[i], window[view, 0].numpy()))
            assert np.array_equal(mask[view].numpy() == 255, drawn.masks(np.arange(start, start + 8)))
    assert WindowDataset(records, num_frames=8).sample(0, 0).masks is None


def test_smaller_frames_have_smaller_masks():
    dataset = WindowDataset(open_dataset(WORLD, split="train").records, num_frames=8, short_side=32, masks=True)
    sample = dataset.sample(0, 0)
    assert sample.masks.shape == (2, 8, 32, 32)
    assert sample.windows.shape[2:4] == (32, 32)


def test_real_videos_do_not_know_what_moves(clips_dir):
    with pytest.raises(InputError, match="only drawn videos know what moves"):
        WindowDataset(open_dataset(str(clips_dir)).records, masks=True)


def test_a_method_says_that_it_needs_masks():
    windows = torch.randint(0, 256, (2, 2, 8, 32, 32, 3), dtype=torch.uint8)
    views = make_views(windows, SampleKeys(0, 0, np.arange(2)), size=32, num_slices=0)
    method = MoCo("tiny", queue_size=8, dim=8, hidden=8, moving_weight=1.0)
    with pytest.raises(InputError, match="moving_weight: these views do not know what moves"):
        method.losses(views)
    with pytest.raises(InputError, match="moving_weight must be at least 0"):
        MoCo("tiny", moving_weight=-1)
    with pytest.raises(InputError, match="moving_energy must be at least 0"):
        MoCo("tiny", moving_weight=1, moving_energy=-1)
    assert MoCo("tiny", moving_energy=0.1).moving_head is None  # a part of a loss that is not asked for


def test_a_few_steps_bring_the_activation_to_the_mover():
    """FIMA with the loss: after 40 steps the peak lies on the object far more often; without it, it is not a term."""
    torch.manual_seed(0)
    records = open_dataset("shapes:easy,videos=8,size=64,num_frames=24", split="train").records
    batch = collate_windows([WindowDataset(records, num_frames=16, masks=True).sample(i, 0) for i in range(8)])
    views = make_views(batch.windows, batch.keys, size=56, num_slices=0, masks=batch.masks, area=(0.9, 1.0))
    options = {"queue_size": 16, "dim": 16, "hidden": 16, "pixel": False, "frame": False}
    method = FIMA("tiny", moving_weight=20.0, **options)
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    first = None
    for _ in range(40):
        losses = method.losses(views, augment=False)
        first = first or float(losses["moving"].detach())
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
    assert float(losses["moving"].detach()) < 0.75 * first
    assert float(method.accuracies["moving"]) > 0.8
    assert "moving" not in FIMA("tiny", **options).losses(views, augment=False)
