import math
from itertools import product

import pytest
import torch

from fima.errors import InputError
from fima.methods import FIMA, export_method, load_method
from fima.methods.activation import foreground_mask
from fima.transforms.motion import frame_difference
from fima.transforms.normalize import normalize
from fima.transforms.views import Views

pytestmark = pytest.mark.usefixtures("one_thread")


SMALL = {"queue_size": 20, "dim": 8, "hidden": 16, "width": 16, "feedforward": 16, "heads": 2}


def make_views(n=3, frames=16, slices=2, seed=0, size=32):
    generator = torch.Generator().manual_seed(seed)
    clips = torch.rand(2, n, 3, frames, size, size, generator=generator)
    local = torch.rand(2, slices, n, 3, 2 * frames // slices, size, size, generator=generator)
    boxes = torch.tensor([[[0.1, 0.05, 0.7, 0.9], [0.9, 0.2, 0.3, 0.8]], [[0.2, 0.1, 0.9, 0.8], [0.2, 0.1, 0.8, 0.9]]])
    return Views(clips, local, boxes[:, torch.arange(n) % 2])


def swapped(views):
    return Views(views.global_clips.flip(0), views.local_clips.flip(0), views.boxes.flip(0))


@pytest.fixture
def make():
    def build(**settings):
        torch.manual_seed(0)
        method = FIMA("tiny", **(SMALL | settings))
        if method.decoder is not None and method.decoder.cls_token is not None:
            torch.nn.init.normal_(method.decoder.cls_token)
        return method

    return build


def unit_row(row):
    return row / row.norm()


def looped_nce(query, key, negatives, temperature=0.1):
    positive = math.exp(float(query @ key) / temperature)
    return -math.log(positive / (positive + sum(math.exp(float(query @ row) / temperature) for row in negatives)))


def mean(values):
    return sum(values) / len(values)


class Twin:
    """The whole step by the definition, in plain loops, for a method whose networks are frozen (eval, momentum 1)."""

    def __init__(self, method, views):
        self.method, self.views = method, views
        self.n, self.slices = views.global_clips.shape[1], views.local_clips.shape[1]
        self.q_maps = [self.encode(method.encoder_q, clip) for clip in views.global_clips]
        self.rgb = [self.encode(method.encoder_k, clip) for clip in views.global_clips]
        self.motion = [self.encode(method.encoder_k, frame_difference(clip)) for clip in views.global_clips]
        self.local = [
            [self.encode(method.encoder_k, frame_difference(clip)).mean((2, 3, 4)) for clip in part]
            for part in views.local_clips
        ]
        self.grid = self.rgb[0].shape[-2:]

    def encode(self, encoder, clip):
        return encoder(normalize(clip, self.method.input_spec)).double()

    def project(self, row, *, key=False):
        first, _, last = (self.method.projector_dense_k if key else self.method.projector_dense).net
        hidden = (first.weight.double().flatten(1) @ row + first.bias.double()).clamp(min=0)
        return unit_row(last.weight.double().flatten(1) @ hidden + last.bias.double())

    def local_key(self, view, i, sample):
        return self.project(self.local[view][i][sample], key=True)

    def instance(self, keys, queue):
        queue = [row.double() for row in queue]
        terms = []
        for view in (1, 0):
            query = [self.project(row) for row in self.q_maps[1 - view].mean((2, 3, 4))]
            key = [self.project(row, key=True) for row in keys[view].mean((2, 3, 4))]
            terms.append(mean([looped_nce(q, k, queue) for q, k in zip(query, key, strict=True)]))
            queue[: self.n] = key if view == 1 else queue[: self.n]
        return mean(terms)

    def predictions(self, view, i):
        """(row of the slice, rows of its pixels) per sample, predicting ``view``."""
        asked, seen = self.q_maps[1 - view][:, :, i].flatten(2), self.q_maps[view][:, :, i].flatten(2)
        decoder = self.method.decoder
        for sample in range(self.n):
            if decoder is None:
                rows = [seen[sample].mean(1), *asked[sample].t()]
            else:
                embedded = [decoder.embed(rows[sample].t()[None].float()) for rows in (asked, seen)]
                token, pixels, _ = decoder(*embedded)
                rows = [None if token is None else token[0].double(), *pixels[0].double()]
            yield [None if row is None else self.project(row) for row in rows]

    def frame(self):
        queue = self.method.motion_queue.snapshot().double()
        terms = []
        for view, i in product((1, 0), range(self.slices)):
            negatives = [
                self.local_key(other, j, sample)
                for other, j, sample in product((0, 1), range(self.slices), range(self.n))
                if (other, j) != (view, i)
            ]
            for sample, predicted in enumerate(self.predictions(view, i)):
                terms.append(looped_nce(predicted[0], self.local_key(view, i, sample), [*negatives, *queue]))
        return mean(terms)

    def center(self, box, cell):
        (height, width), (y, x) = self.grid, divmod(cell, self.grid[1])
        x1, y1, x2, y2 = box.tolist()
        return x1 + (x + 0.5) * (x2 - x1) / width, y1 + (y + 0.5) * (y2 - y1) / height

    def diagonal(self, box):
        x1, y1, x2, y2 = box.tolist()
        return math.hypot((x2 - x1) / self.grid[1], (y2 - y1) / self.grid[0])

    def pixel(self):
        cells = range(self.grid[0] * self.grid[1])
        masks = [foreground_mask(*maps).flatten(1) for maps in zip(self.rgb, self.motion, strict=True)]
        if not self.method.foreground:
            masks = [torch.ones_like(mask) for mask in masks]
        extra = [] if self.method.pixel_queue is None else list(self.method.pixel_queue.snapshot().double())
        terms = []
        for view, i in product((1, 0), range(self.slices)):
            keys = [[self.project(row, key=True) for row in part.flatten(1).t()] for part in self.motion[view]]
            start = i * len(cells)
            videos = []
            for sample, predicted in enumerate(self.predictions(view, i)):
                ask_box, key_box = self.views.boxes[1 - view][sample], self.views.boxes[view][sample]
                scale = max(self.diagonal(ask_box), self.diagonal(key_box))
                pixels = []
                for a in cells:
                    weights = [[math.exp(float(predicted[1 + a] @ key) / 0.1) for key in rows] for rows in keys]
                    positive = sum(
                        weights[sample][start + b]
                        for b in cells
                        if math.dist(self.center(ask_box, a), self.center(key_box, b)) / scale < 0.7
                        and masks[1 - view][sample][a]
                        and masks[view][sample][b]
                    )
                    total = sum(map(sum, weights)) + sum(math.exp(float(predicted[1 + a] @ k) / 0.1) for k in extra)
                    pixels += [-math.log(positive / total)] if positive else []
                videos += [mean(pixels)] if pixels else []
            terms.append(mean(videos) if videos else 0.0)
        return mean(terms)


ABLATIONS = [
    {},
    {"decoder": False},
    {"foreground": False},
    {"pixel": False},
    {"frame": False},
    {"frame": False, "decoder": False, "foreground": False},
    {"pixel_queue_size": 30, "instance_motion": True},
]


@pytest.mark.parametrize("settings", ABLATIONS, ids=lambda s: ",".join(f"{k}={v}" for k, v in s.items()) or "whole")
def test_step_agrees_with_plain_loops(make, settings):
    method = make(momentum=1.0, **settings).eval()
    views = make_views(n=2)
    with torch.no_grad():
        for parameter in method.encoder_k.parameters():
            parameter.mul_(1.1)  # key networks of their own
        twin = Twin(method, views)
        expected = {"instance": twin.instance(twin.rgb, method.queue.snapshot())}
        if method.instance_motion_queue is not None:
            expected["instance_motion"] = twin.instance(twin.motion, method.instance_motion_queue.snapshot())
        expected |= {"pixel": twin.pixel()} if method.pixel else {}
        expected |= {"frame": twin.frame()} if method.frame else {}
    losses = method(views, augment=False)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        expected | {"total": sum(expected.values())}, rel=1e-5
    )


class TestStep:
    def test_names_of_losses(self, make):
        method, views = make(), make_views()
        losses = method.losses(views, augment=True)
        assert list(losses) == ["instance", "pixel", "frame", "total"]
        assert all(loss.shape == () and loss.requires_grad for loss in losses.values())
        torch.testing.assert_close(losses["total"], losses["instance"] + losses["pixel"] + losses["frame"])
        assert list(method.accuracies) == ["instance", "pixel", "frame"]

    @pytest.mark.parametrize("frames", [8, 16, 32])
    def test_any_number_of_slices(self, make, frames):
        slices = frames // 8
        method, views = make(pixel_queue_size=400), make_views(frames=frames, slices=slices)
        losses = method(views)
        assert losses["total"].isfinite()
        assert method.motion_queue.cursor == 2 * slices * 3 % 20
        assert method.pixel_queue.cursor == 2 * slices * 3 * 16 % 400

    @pytest.mark.parametrize("arch", ["r2plus1d_18", "r3d_18"])
    def test_other_backbones(self, arch):
        method = FIMA(arch, **SMALL)
        losses = method(make_views(n=2))
        losses["total"].backward()
        assert all(loss.isfinite() for loss in losses.values())

    def test_exchanging_the_views(self, make):
        """Pixel and frame losses stay; the instance loss does not, because the queue takes n's keys between its two
        directions."""
        views = make_views()
        first, second = (make().eval()(some, augment=False) for some in (views, swapped(views)))
        for name in ("pixel", "frame"):
            torch.testing.assert_close(first[name], second[name])
        assert (first["instance"] - second["instance"]).abs() > 1e-4

    def test_gradients_reach_everything_that_is_trained(self, make):
        for settings in ABLATIONS:
            method = make(**settings)
            method(make_views())["total"].backward()
            for name, parameter in method.named_parameters():
                frozen = name.startswith(("encoder_k.", "projector_dense_k."))
                assert parameter.requires_grad != frozen, (settings, name)
                assert (parameter.grad is None) == frozen, (settings, name)

    def test_order_of_the_queues(self, make):
        method, views = make(momentum=1.0, queue_size=40, pixel_queue_size=400).eval(), make_views()
        twin = Twin(method, views)
        method(views, augment=False)
        expected = [twin.local_key(view, i, s) for view, i, s in product((1, 0), range(2), range(3))]
        torch.testing.assert_close(method.motion_queue.rows[:12], torch.stack(expected).float())
        pixels = [
            twin.project(row, key=True)
            for view, i in product((1, 0), range(2))
            for video in twin.motion[view]
            for row in video[:, i].flatten(1).t()
        ]
        assert method.pixel_queue.cursor == len(pixels) == 2 * 2 * 3 * 16
        torch.testing.assert_close(method.pixel_queue.rows[: len(pixels)], torch.stack(pixels).float())

    def test_queues_fill_after_all_logits(self, make):
        """Two steps from one state with queues that the first would have filled: the first step does not see its own
        keys, the second does."""
        method, views = make(momentum=1.0, pixel_queue_size=400).eval(), make_views()
        first, second = method(views, augment=False), method(views, augment=False)
        for name in ("pixel", "frame"):
            assert second[name] > first[name]

    def test_eight_key_passes(self, make):
        method = make()
        method(make_views())
        assert method.encoder_k.stem[1].num_batches_tracked == 8
        assert method.encoder_q.stem[1].num_batches_tracked == 2

    def test_masks(self, make):
        method, views = make().eval(), make_views()
        method(views)
        assert method.observed["mask"].shape == (2, 3, 4, 4)
        assert (method.observed["mask"].flatten(2).sum(2) <= 8).all()

    def test_looking_changes_nothing(self, make):
        method = make(pixel_queue_size=50).eval()
        before = {name: value.clone() for name, value in method.state_dict().items()}
        method(make_views(), update=False)
        assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())

    def test_views_are_left_as_they_were(self, make):
        views = make_views()
        before = views.global_clips.clone(), views.local_clips.clone()
        make()(views)
        assert torch.equal(views.global_clips, before[0])
        assert torch.equal(views.local_clips, before[1])

    def test_bf16_autocast(self, make):
        views = make_views()
        # All cells foreground: rounding may move a cell across the median, which changes the positives, not precision.
        full = make(dropout=0.0, foreground=False)(views, augment=False)
        method = make(dropout=0.0, foreground=False)
        with torch.autocast("cpu", torch.bfloat16):
            half = method(views, augment=False)
        half["total"].backward()
        for name, loss in half.items():
            assert loss.dtype == torch.float32
            assert loss.item() == pytest.approx(full[name].item(), rel=0.1), name
        assert all(p.grad.isfinite().all() for p in method.parameters() if p.requires_grad)

    def test_logits_are_linear_in_the_batch(self, make, monkeypatch):
        """No tensor of the losses grows with the square of the batch but the logits of the batch's own pixels."""
        sizes = {}
        for n in (2, 4):
            seen = sizes.setdefault(n, [])
            method, views = make(), make_views(n=n)
            with torch.autograd.graph.saved_tensors_hooks(
                lambda t, seen=seen: seen.append(t.numel()) or t, lambda t: t
            ):
                method(views, augment=False)
        grown = [large / small for small, large in zip(sizes[2], sizes[4], strict=True) if small]
        pixel_logits = 4 * 16 * 4 * 16
        assert max(grown) <= 4
        assert max(size for size, ratio in zip(sizes[4], grown, strict=False) if ratio > 2.01) <= pixel_logits


class TestAblations:
    """Each switch changes only what it should: variants of one file, in eval mode."""

    @pytest.fixture
    def losses(self, make, tmp_path):
        path = export_method(tmp_path / "whole.pth.tar", make())
        views = make_views()

        def run(**settings):
            return {k: v.item() for k, v in load_method(path, **settings).eval()(views, augment=False).items()}

        return run

    @pytest.mark.parametrize(
        ("settings", "left", "changed"),
        [
            ({"pixel": False}, {"instance", "frame"}, set()),
            ({"frame": False}, {"instance", "pixel"}, set()),
            ({"decoder": False}, {"instance"}, {"pixel", "frame"}),
            ({"foreground": False}, {"instance", "frame"}, {"pixel"}),
            ({"pixel": False, "frame": False}, {"instance"}, set()),
            ({"radius": 2.0}, {"instance", "frame"}, {"pixel"}),
            ({"pixel_temperature": 0.5}, {"instance", "frame"}, {"pixel"}),
        ],
        ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
    )
    def test_switch(self, losses, settings, left, changed):
        whole, part = losses(), losses(**settings)
        assert part.keys() == left | changed | {"total"}
        for name in left:
            assert part[name] == pytest.approx(whole[name], rel=1e-5), name
        for name in changed:
            assert part[name] != pytest.approx(whole[name], rel=1e-3), name

    def test_no_foreground_takes_every_position(self, make):
        method = make(foreground=False)
        method(make_views())
        assert method.observed["mask"].all()

    def test_parts_that_no_loss_reads_are_not_made(self, make):
        bare = make(pixel=False, frame=False)
        assert bare.decoder is bare.motion_queue is bare.pixel_queue is None
        bare(make_views())
        assert bare.encoder_k.stem[1].num_batches_tracked == 2
        assert make(frame=False).decoder.cls_token is None


class TestRefusals:
    def test_local_clips_for_each_slice(self, make):
        views = make_views(slices=4)
        with pytest.raises(InputError, match=r"one for each of the 2 slices .* 16 frames"):
            make()(views)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"radius": 0.0}, "radius"),
            ({"pixel_queue_size": -1}, "pixel_queue_size"),
            ({"motion_queue_size": 0}, "at least 1 row"),
            ({"heads": 3}, "divisible"),
        ],
        ids=["radius", "pixel-queue", "motion-queue", "heads"],
    )
    def test_settings(self, make, settings, message):
        with pytest.raises(InputError, match=message):
            make(**settings)
