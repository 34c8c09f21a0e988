import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.errors import InputError
from fima.methods.losses import cell_centers, contrast, contrast_pixels, info_nce, pixel_contrastive_loss, unit

pytestmark = pytest.mark.usefixtures("one_thread")


def random_units(*shape, seed=0, dtype=torch.float64, dim=-1):
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return values / values.norm(dim=dim, keepdim=True)


def looped_info_nce(query, key, negatives, temperature):
    total = 0.0
    for q, k in zip(query.tolist(), key.tolist(), strict=True):
        positive = math.exp(sum(a * b for a, b in zip(q, k, strict=True)) / temperature)
        rest = sum(math.exp(sum(a * b for a, b in zip(q, n, strict=True)) / temperature) for n in negatives.tolist())
        total -= math.log(positive / (positive + rest))
    return total / len(query)


class TestInfoNce:
    def test_hand_worked(self):
        """One negative at a right angle: −log(e / (e + 1)) at temperature 1."""
        e1, e2 = torch.tensor([[1.0, 0]]), torch.tensor([[0.0, 1]])
        assert info_nce(e1, e1, e2, temperature=1.0).item() == pytest.approx(math.log(1 + math.exp(-1)))
        assert info_nce(e1, e2, e1, temperature=0.5).item() == pytest.approx(math.log(1 + math.exp(2)))

    @pytest.mark.parametrize("size", [0, 1, 7], ids=lambda m: f"{m}-negatives")
    def test_agrees_with_plain_loops(self, size):
        query, key, negatives = random_units(5, 8, seed=1), random_units(5, 8, seed=2), random_units(size, 8, seed=3)
        ours = info_nce(query, key, negatives, temperature=0.1)
        assert ours.item() == pytest.approx(looped_info_nce(query, key, negatives, 0.1), abs=1e-12)

    def test_gradient(self):
        query, key, negatives = (random_units(n, 4, seed=n) for n in (3, 3, 6))
        key, excluded = random_units(3, 4, seed=9), torch.rand(3, 6) < 0.3
        inputs = [tensor.requires_grad_() for tensor in (query, key, negatives)]
        assert torch.autograd.gradcheck(lambda q, k, n: info_nce(q, k, n, temperature=0.5), inputs)
        assert torch.autograd.gradcheck(
            lambda q, k, n: contrast(q, k, n, n, temperature=0.5, excluded=excluded).loss, inputs
        )

    def test_no_negatives_has_a_graph(self):
        query = random_units(2, 3).requires_grad_()
        loss = info_nce(query, query.detach(), torch.zeros(0, 3), temperature=0.1)
        loss.backward()
        assert loss == 0
        assert torch.equal(query.grad, torch.zeros_like(query))

    def test_several_sources_are_one(self):
        query, key, rows = random_units(4, 8), random_units(4, 8, seed=1), random_units(9, 8, seed=2)
        whole, parts = (
            contrast(query, key, *sources, temperature=0.1) for sources in ([rows], [rows[:2], rows[2:], rows[:0]])
        )
        torch.testing.assert_close(parts, whole)

    def test_excluded_rows_are_no_negatives(self):
        query, key, rows = random_units(2, 8), random_units(2, 8, seed=1), random_units(5, 8, seed=2)
        excluded = torch.tensor([[True, False, False, False, True], [False, True, False, False, False]])
        ours = contrast(query, key, rows, temperature=0.1, excluded=excluded).loss
        alone = [looped_info_nce(query[i : i + 1], key[i : i + 1], rows[~excluded[i]], 0.1) for i in range(2)]
        assert ours.item() == pytest.approx(sum(alone) / 2)

    def test_accuracy(self):
        """Of three queries one is its key, one is a negative, and one cannot tell (a tie is no success)."""
        query = torch.eye(3)
        key = torch.stack([query[0], query[0], query[2]])
        negatives = torch.stack([query[1], query[2]])
        assert contrast(query, key, negatives, temperature=0.1).accuracy.item() == pytest.approx(1 / 3)

    def test_full_precision_under_autocast(self):
        query, key, negatives = (unit(random_units(n, 64, seed=n).float()) for n in (4, 4, 50))
        expected = info_nce(query, key, negatives, temperature=0.1)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(info_nce(query, key, negatives, temperature=0.1), expected)

    @pytest.mark.parametrize(
        ("shapes", "temperature", "message"),
        [
            (((2, 3), (2, 4), (5, 3)), 0.1, "query and key"),
            (((2, 3), (2, 3), (5, 4)), 0.1, r"negatives must be \(M, 3\)"),
            (((2, 3), (2, 3), (5, 3)), 0.0, "temperature must be above 0"),
        ],
        ids=["key", "negatives", "temperature"],
    )
    def test_refuses(self, shapes, temperature, message):
        with pytest.raises(InputError, match=message):
            info_nce(*map(torch.zeros, shapes), temperature=temperature)


def pixel_case(n=3, d=8, h=3, w=4, seed=0, others=1, dtype=torch.float64):
    """Arguments of the pixel loss; views overlap, some are flipped, masks are half true."""
    generator = torch.Generator().manual_seed(seed)
    maps = [random_units(n, d, h, w, seed=seed + i, dim=1, dtype=dtype) for i in range(2)]
    other = random_units(n, d, others, h, w, seed=seed + 2, dim=1, dtype=dtype)
    corners = torch.rand(2, n, 4, generator=generator, dtype=dtype) * 0.3
    boxes = torch.cat((corners[..., :2], 1 - corners[..., 2:]), dim=-1)
    boxes[1, 0] = boxes[1, 0][[2, 1, 0, 3]]
    masks = torch.rand(2, n, h, w, generator=generator) < 0.5
    return [*maps, other, *boxes, *masks]


def looped_pixel_loss(query, key, other, query_boxes, key_boxes, query_mask, key_mask, radius, temperature, queue=None):
    """The definition, pixel by pixel."""
    n, _, h, w = query.shape
    rows = [key[i, :, y, x] for i in range(n) for y in range(h) for x in range(w)]
    rows += [pixel for i in range(n) for pixel in other[i].flatten(1).t()]
    rows += [] if queue is None else list(queue)
    videos = []
    for i in range(n):
        pixels = []
        for qy, qx in [(y, x) for y in range(h) for x in range(w)]:
            vector = query[i, :, qy, qx]
            positive = 0.0
            for ky, kx in [(y, x) for y in range(h) for x in range(w)]:
                size = [
                    [(b[2] - b[0]) / w, (b[3] - b[1]) / h] for b in (query_boxes[i].tolist(), key_boxes[i].tolist())
                ]
                at = [query_boxes[i][0] + (qx + 0.5) * size[0][0], query_boxes[i][1] + (qy + 0.5) * size[0][1]]
                to = [key_boxes[i][0] + (kx + 0.5) * size[1][0], key_boxes[i][1] + (ky + 0.5) * size[1][1]]
                distance = math.hypot(at[0] - to[0], at[1] - to[1]) / max(math.hypot(*size[0]), math.hypot(*size[1]))
                if distance < radius and query_mask[i, qy, qx] and key_mask[i, ky, kx]:
                    positive += math.exp(float(vector @ key[i, :, ky, kx]) / temperature)
            if positive:
                pixels.append(-math.log(positive / sum(math.exp(float(vector @ row) / temperature) for row in rows)))
        if pixels:
            videos.append(sum(pixels) / len(pixels))
    return sum(videos) / len(videos) if videos else 0.0


class TestPixelLoss:
    @pytest.mark.parametrize("case", ["a", "somezero"])
    def test_agrees_with_the_reference(self, golden, rel_err, case):
        arrays = {key: golden.tensor(f"dense_{case}_{key}") for key in ("q", "k", "kneg", "coq", "cok", "mq", "mk")}
        arrays["q"].requires_grad_()
        settings = {key: float(golden.tensor(f"dense_{case}_{key}")) for key in ("pos_ratio", "temperature")}
        loss = pixel_contrastive_loss(
            *arrays.values(), radius=settings["pos_ratio"], temperature=settings["temperature"]
        )
        loss.backward()
        assert rel_err(loss.detach(), golden.tensor(f"dense_{case}_loss")) <= 1e-5
        assert rel_err(arrays["q"].grad, golden.tensor(f"dense_{case}_grad")) <= 1e-5

    @pytest.mark.parametrize("others", [0, 1, 3])
    @pytest.mark.parametrize("with_queue", [False, True], ids=["no-queue", "queue"])
    @pytest.mark.parametrize("radius", [0.4, 0.7, 1.5])
    def test_agrees_with_plain_loops(self, others, with_queue, radius):
        case = pixel_case(n=2, others=others, seed=others)
        queue = random_units(5, 8, seed=9) if with_queue else None
        ours = pixel_contrastive_loss(*case, radius=radius, temperature=0.2, queue=queue)
        twin = looped_pixel_loss(*case, radius, 0.2, queue)
        assert ours.item() == pytest.approx(twin, rel=1e-10)
        assert twin > 0

    def test_hand_worked(self):
        """The same box on both sides, one cell, one other slice: −log(e^{1/τ} / (e^{1/τ} + e^{−1/τ})) at τ 1."""
        pixel = torch.tensor([1.0, 0]).view(1, 2, 1, 1)
        box, mask = torch.tensor([[0.1, 0.1, 0.9, 0.9]]), torch.ones(1, 1, 1)
        loss = pixel_contrastive_loss(pixel, pixel, -pixel, box, box, mask, mask, temperature=1.0)
        assert loss.item() == pytest.approx(math.log(1 + math.exp(-2)))

    def test_gradient(self):
        case = pixel_case(n=2, d=3, h=2, w=3)
        queue = random_units(4, 3, seed=5).requires_grad_()
        maps = [tensor.requires_grad_() for tensor in case[:3]]

        def loss(query, key, other, queue):
            return pixel_contrastive_loss(query, key, other, *case[3:], temperature=0.5, queue=queue)

        assert loss(*maps, queue) > 0
        assert torch.autograd.gradcheck(loss, [*maps, queue])

    def test_no_positive_gives_zero_with_a_graph(self):
        case = pixel_case()
        case[5] = torch.zeros_like(case[5])
        case[0].requires_grad_()
        result = contrast_pixels(*case)
        result.loss.backward()
        assert result.loss == 0
        assert result.accuracy == 0
        assert torch.equal(case[0].grad, torch.zeros_like(case[0]))

    def test_video_without_positives_does_not_count(self):
        case = pixel_case(n=2)
        case[5][1] = False
        loss = pixel_contrastive_loss(*case)
        assert loss.item() == pytest.approx(looped_pixel_loss(*case, 0.7, 0.1))
        case[0].requires_grad_()
        pixel_contrastive_loss(*case).backward()
        assert case[0].grad[0].norm() > 0
        assert case[0].grad[1].norm() == 0

    def test_box_without_extent_has_no_positives(self):
        case = pixel_case()
        case[3] = case[4] = torch.full_like(case[3], 0.5)
        assert pixel_contrastive_loss(*case) == 0

    def test_accuracy(self):
        """Identical maps and boxes: each pixel finds itself, until another slice holds it too."""
        case = pixel_case()
        case[1], case[4], case[5], case[6] = case[0], case[3], *[torch.ones(3, 3, 4)] * 2
        assert contrast_pixels(*case, radius=0.5).accuracy == 1
        assert contrast_pixels(*case, radius=0.5, queue=case[0].flatten(2).transpose(1, 2).flatten(0, 1)).accuracy == 0
        collapsed = [torch.ones_like(tensor) for tensor in case[:3]]
        assert contrast_pixels(*collapsed, *case[3:]).accuracy == 0

    @settings(max_examples=20)
    @given(seed=st.integers(0, 1000), shift=st.floats(-2, 2), scale=st.floats(0.1, 10))
    def test_source_frame_may_move_and_grow(self, seed, shift, scale):
        case = pixel_case(seed=seed)
        moved = [*case[:3], *(boxes * scale + shift for boxes in case[3:5]), *case[5:]]
        torch.testing.assert_close(pixel_contrastive_loss(*moved), pixel_contrastive_loss(*case))

    @settings(max_examples=20)
    @given(seed=st.integers(0, 1000))
    def test_flipping_a_view_changes_nothing(self, seed):
        """Mirrored columns with x1 and x2 swapped are the same pixels at the same places."""
        case = pixel_case(seed=seed)
        flipped = [case[0].flip(-1), *case[1:3], case[3][:, [2, 1, 0, 3]], case[4], case[5].flip(-1), case[6]]
        torch.testing.assert_close(pixel_contrastive_loss(*flipped), pixel_contrastive_loss(*case))

    @settings(max_examples=20)
    @given(seed=st.integers(0, 1000))
    def test_order_of_videos_slices_and_queue_does_not_matter(self, seed):
        case, queue = pixel_case(seed=seed, others=3), random_units(6, 8, seed=seed)
        order = torch.randperm(3, generator=torch.Generator().manual_seed(seed))
        mixed = [tensor[order] for tensor in case]
        mixed[2] = mixed[2].flip(2)
        expected = pixel_contrastive_loss(*case, queue=queue)
        torch.testing.assert_close(pixel_contrastive_loss(*mixed, queue=queue.flip(0)), expected)

    @settings(max_examples=20)
    @given(seed=st.integers(0, 1000))
    def test_more_keys_make_it_harder(self, seed):
        case = pixel_case(seed=seed)
        assert pixel_contrastive_loss(*case, queue=random_units(3, 8, seed=seed)) > pixel_contrastive_loss(*case) >= 0

    @pytest.mark.parametrize(
        ("place", "shape", "message"),
        [
            (1, (3, 8, 3, 3), "query and key"),
            (2, (2, 8, 3, 4), "other_keys must be"),
            (3, (3, 2), r"query_boxes must be \(3, 4\)"),
            (6, (3, 4, 3), r"key_mask must be \(3, 3, 4\)"),
        ],
        ids=["key", "other-keys", "boxes", "mask"],
    )
    def test_refuses_shapes(self, place, shape, message):
        case = pixel_case()
        case[place] = torch.zeros(shape)
        with pytest.raises(InputError, match=message):
            pixel_contrastive_loss(*case)

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ({"radius": 0}, "radius"),
            ({"temperature": -1}, "temperature"),
            ({"queue": torch.zeros(4, 7)}, r"queue must be \(K, 8\)"),
        ],
        ids=["radius", "temperature", "queue"],
    )
    def test_refuses_settings(self, setting, message):
        with pytest.raises(InputError, match=message):
            pixel_contrastive_loss(*pixel_case(), **setting)


def test_cell_centers_hand_worked():
    """A flipped view of the right half: its first column lies right."""
    centers = cell_centers(torch.tensor([[1.0, 0.0, 0.5, 0.8]]), 2, 2)
    expected = torch.tensor([[0.875, 0.2], [0.625, 0.2], [0.875, 0.6], [0.625, 0.6]])
    torch.testing.assert_close(centers[0], expected)


def test_unit():
    rows = unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]]).bfloat16())
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
