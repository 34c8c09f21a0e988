"""The background battery's parts: fills and pictures by hand, scores by brute force."""

import numpy as np
import pytest
import torch

from analysis.measures.background import (
    FOREIGN,
    background_scores,
    fill_background,
    noise_picture,
    still_of,
    stripes_picture,
)
from fima.errors import InputError


def clip_with_square(length=9, side=12):
    """A bright square that goes over a gradient, and where it is."""
    ramp = torch.arange(side * side).reshape(side, side).expand(3, side, side).to(torch.uint8)
    frames, mask = ramp.repeat(length, 1, 1, 1).clone(), torch.zeros(length, side, side, dtype=torch.bool)
    for t in range(length):
        mask[t, 4:7, t : t + 3] = True
    frames[mask[:, None].expand_as(frames)] = 255
    return frames, mask, ramp


def test_the_fill_is_exactly_what_was_there():
    frames, mask, ramp = clip_with_square()
    assert torch.equal(still_of(frames, mask), ramp)
    assert torch.equal(fill_background(frames, mask), ramp.expand_as(frames))


def test_what_is_never_seen_takes_its_neighbor():
    frames = torch.full((3, 3, 5, 5), 40, dtype=torch.uint8)
    mask = torch.zeros(3, 5, 5, dtype=torch.bool)
    mask[:, 2, 2] = True
    frames[:, :, 2, 2] = 200
    assert (still_of(frames, mask) == 40).all()
    with pytest.raises(InputError, match="fills every frame"):
        still_of(frames, torch.ones_like(mask))
    with pytest.raises(InputError, match="mask"):
        fill_background(frames, mask[:2])


@pytest.mark.parametrize("draw", [stripes_picture, noise_picture])
def test_pictures_are_of_the_name_alone(draw):
    first, again, other = draw(16, "a"), draw(16, "a"), draw(16, "b")
    assert first.dtype == torch.uint8
    assert first.shape == (3, 16, 16)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_scores_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    names = [f"{what}_{kind}" for what in ("scuba", "scufo") for kind in FOREIGN]
    answers = {n: rng.integers(-1, 3, 40) for n in ("original", *names, "swap", "background_only", "foreground_only")}
    labels, behind = rng.integers(0, 3, 40), rng.integers(0, 3, 40)
    found = background_scores(answers, labels, behind)
    for v in range(40):
        both = [k for k in FOREIGN if answers[f"scuba_{k}"][v] >= 0 and answers[f"scufo_{k}"][v] >= 0]
        contra = [answers[f"scuba_{k}"][v] == labels[v] != answers[f"scufo_{k}"][v] for k in both]
        scuba = [answers[f"scuba_{k}"][v] == labels[v] for k in FOREIGN if answers[f"scuba_{k}"][v] >= 0]
        np.testing.assert_equal(found["contra"][v], np.mean(contra) if contra else np.nan)
        np.testing.assert_equal(found["scuba"][v], np.mean(scuba) if scuba else np.nan)
        swap = answers["swap"][v]
        np.testing.assert_equal(found["swap_background"][v], np.nan if swap < 0 else float(swap == behind[v]))
        np.testing.assert_equal(found["swap_foreground"][v], np.nan if swap < 0 else float(swap == labels[v]))
