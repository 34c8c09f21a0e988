import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fima.data.datasets.layouts.ava import open_ava
from fima.data.datasets.layouts.ava_files import Keyframe
from fima.data.readers.open import open_video
from fima.data.transcode.encode import write_video
from fima.errors import VideoError
from fima.tasks.detect.clips import KeyframeClip, ReaderPool, Variation, clip_frames, pad_clips, vary


def test_frames_of_a_clip_by_hand():
    # PySlowFast: range(60 - 16, 60 + 16, 8) for 4 frames, stride 8 around second 902 of a clip from second 900.
    assert clip_frames(2, 30, 27030, 4, 8).tolist() == [44, 52, 60, 68]
    assert clip_frames(2, 30, 27030, 1, 8).tolist() == [60]
    assert clip_frames(0, 30, 100, 4, 8).tolist() == [0, 0, 0, 8]
    assert clip_frames(3, 30, 92, 4, 2).tolist() == [86, 88, 90, 91]
    assert clip_frames(4, 30, 100, 4, 2) is None


def test_another_rate_shows_the_same_time():
    assert clip_frames(2, 15, 1000, 4, 8).tolist() == [22, 26, 30, 34]
    assert clip_frames(902, 24, 40000, 3, 30).tolist() == [24 * 901, 24 * 902, 24 * 903]


def with_boxes(boxes, height=40, width=60):
    """A clip that is bright exactly inside its boxes, each with a color of its own."""
    frames = torch.zeros(2, 3, height, width, dtype=torch.uint8)
    for number, (x1, y1, x2, y2) in enumerate(boxes, 1):
        frames[:, :, y1:y2, x1:x2] = 50 * number
    shares = np.array(boxes, float).reshape(-1, 4) / [width, height, width, height]
    keyframe = Keyframe("f", 902, shares, tuple((n,) for n in range(1, len(boxes) + 1)))
    return KeyframeClip(keyframe, frames, torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_boxes_stay_on_what_they_enclose(data):
    left = data.draw(st.integers(0, 25)), data.draw(st.integers(0, 35))
    box = [*left, left[0] + data.draw(st.integers(1, 4)), left[1] + data.draw(st.integers(1, 4))]
    other = [40, 5, 50, 20]
    crop = data.draw(st.sampled_from([None, 8, 20, 40]))
    place = tuple(data.draw(st.floats(0, 1, exclude_max=True)) for _ in range(3))
    clip = vary(with_boxes([box, other]), Variation(40, data.draw(st.booleans()), crop, place))
    assert clip.frames.shape[2:] == ((40, 60) if crop is None else (crop, crop))
    assert 1 <= len(clip.boxes) == len(clip.keyframe.actions) == len(clip.keyframe.boxes)
    expected = torch.zeros_like(clip.frames)
    for (x1, y1, x2, y2), (action,) in zip(clip.boxes.int().tolist(), clip.keyframe.actions, strict=True):
        assert 0 <= x1 < x2 <= expected.shape[3]
        assert 0 <= y1 < y2 <= expected.shape[2]
        expected[:, :, y1:y2, x1:x2] = 50 * action
    assert torch.equal(clip.frames, expected)


def test_nothing_to_vary_changes_nothing():
    clip = with_boxes([[1, 2, 3, 4]])
    same = vary(clip, Variation(40))
    assert torch.equal(same.frames, clip.frames)
    assert torch.equal(same.boxes, clip.boxes)
    assert len(vary(with_boxes([]), Variation(40, True, 8)).boxes) == 0


def test_padding_is_at_the_right_and_the_bottom():
    small, large = with_boxes([[0, 0, 20, 30]], 30, 20), with_boxes([[0, 0, 50, 20]], 20, 50)
    batch = pad_clips([small, large])
    assert batch.shape == (2, 3, 2, 30, 50)
    assert torch.allclose(batch[0, :, :, :, :20], torch.tensor(50 / 255))
    assert batch[0, :, :, :, 20:].count_nonzero() == 0
    assert batch[1, :, :, 20:].count_nonzero() == 0


@pytest.mark.parametrize("layout", ["frames", "rawframes", "videos_15min"])
def test_keyframes_of_every_layout_show_what_is_in_their_boxes(tmp_path, layout, write_miniature):
    data = open_ava(write_miniature(tmp_path / "mini", train=1, val=1, seconds=(902, 903), layout=layout), boxes="gt")
    readers = ReaderPool(data.videos, data.last_seconds)
    (first, *_), record = data.train, data.videos["train-film-0"]
    clip = readers.read(first, 4, 2, 32)
    assert clip.frames.shape == (4, 3, 32, 64)
    with open_video(record) as reader:
        assert torch.equal(clip.frames, reader.frames([56, 58, 60, 62], short_side=32))
    assert torch.allclose(clip.boxes, torch.from_numpy(first.boxes * [64, 32, 64, 32]).float())
    readers.close()


def test_a_whole_film_is_told_from_its_15_minutes(tmp_path):
    frames = np.zeros((905, 16, 16, 3), np.uint8)  # one frame a second, each as bright as its place
    frames += (np.arange(905) % 8 * 30).astype(np.uint8)[:, None, None, None]
    from fima.data.datasets.records import VideoRecord

    record = VideoRecord(write_video(tmp_path / "whole.mp4", frames, fps=1, crf=1), "f", None, None)
    keyframe = Keyframe("f", 902, np.array([[0, 0, 1, 1.0]]), ())
    shown = ReaderPool({"f": record}, {"f": 902}).read(keyframe, 1, 1, 16).frames.float().mean()
    assert abs(shown - 902 % 8 * 30) < 8
    from_second = ReaderPool({"f": record}, {"f": 902}, start_second=0.5).read(keyframe, 1, 1, 16)
    assert abs(from_second.frames.float().mean() - 902 % 8 * 30) < 8  # 901.5, to the nearest frame
    with pytest.raises(VideoError, match="no frame at second 902"):
        ReaderPool({"f": record}, {"f": 902}, start_second=903).read(keyframe, 1, 1, 16)


def test_what_cannot_be_read_says_why_and_is_opened_once(tmp_path):
    from fima.data.datasets.records import VideoRecord

    (tmp_path / "a.mp4").write_bytes(b"no video" * 100)
    readers = ReaderPool({"a": VideoRecord(tmp_path / "a.mp4", "a", None, None)}, {"a": 903, "b": 903})
    for second in (902, 903):
        with pytest.raises(VideoError, match=r"a\.mp4"):
            readers.read(Keyframe("a", second, np.zeros((1, 4)), ()), 1, 1, 16)
        (tmp_path / "a.mp4").unlink(missing_ok=True)
    with pytest.raises(VideoError, match="b: is not there"):
        readers.read(Keyframe("b", 902, np.zeros((1, 4)), ()), 1, 1, 16)
