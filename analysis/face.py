"""The one call of the Python face: a measure of a model on videos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from analysis.inputs.sessions import Progress, open_session
from analysis.inputs.video.arrays import array_videos
from analysis.inputs.video.videos import VideoList
from analysis.settings import Settings
from analysis.studies import Study
from analysis.studies import run as run_study
from fima.checkpoints import LoadedBackbone, load_backbone
from fima.errors import InputError
from fima.input_spec import InputSpec
from fima.models.adapters import READING

__all__ = ["run"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def run(
    measure: str,
    model: str | os.PathLike[str] | LoadedBackbone | nn.Module | Callable[[Tensor], Any] | None = None,
    *,
    video: Paths | None = None,
    clip: Any = None,
    data: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Study:
    """Run a measure of a model on videos.

    Args:
        measure: One of ``analysis.studies.STUDIES``, such as ``cam`` or ``affinity``.
        model: A checkpoint file, the folder of a training run, the name of a backbone that comes with the package,
            ``random`` for an untrained one, a backbone that is loaded already, or your own module or callable, which is
            left as it was. None is ``tiny-fima``, or what the measure takes by default.
        video: One or several video files; without ``video`` and ``data``, a drawn video.
        clip: Frames in memory, instead: an array or tensor (``analysis.inputs.video.arrays.frames_of``), all of which
            are shown; ``layout`` names its axes where they are not plain, ``fps`` gives its rate.
        data: A data set, instead: a folder, a list of ``path label`` rows, or ``shapes:REGIME``.
        progress: Called with (videos done, videos in all).
        **settings: Further fields of ``analysis.settings.Settings``, such as ``size=112`` or ``layer="layer3"``; for
            your own module also how its output is read (``fima.models.adapters.Adapter``): ``grid=(8, 14, 14)``.

    Returns:
        The study: ``study.frame()``, ``study.per_video()``, ``study.figure()``, ``study.save(folder)``.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.

    >>> study = run("affinity", "random", data="shapes:camera,videos=2", size=56, num_frames=8)
    >>> print(study)  # doctest: +ELLIPSIS
    affinity of tiny (untrained weights), 2 videos
      AUROC, foreground: ...
    """
    memory = {name: settings.pop(name) for name in ("layout", "fps") if name in settings}
    reading = {name: settings.pop(name) for name in READING if name in settings}
    given = {"video": video or (), "data": None if data is None else os.fspath(data), **settings}
    own = model is not None and not isinstance(model, str | os.PathLike | LoadedBackbone)
    if not own and not isinstance(model, LoadedBackbone):
        given["ckpt"] = None if model is None else os.fspath(model)  # type: ignore[arg-type]
    loaded = model if isinstance(model, LoadedBackbone) else None
    if own or reading:
        loaded = load_backbone(model, input_spec=settings.get("input_spec"), **reading)  # type: ignore[arg-type]
        given.setdefault("device", _device_of(loaded.backbone))
    videos = None
    if clip is not None:
        if video or data is not None:
            raise InputError("give one of clip, video and data")
        videos = array_videos(clip, **memory)
        given = {**_shape_of(videos, loaded), **given}
    wanted = Settings.from_parameters(given)
    wanted = wanted if own or loaded is not None else wanted.for_measure(measure)
    with _left_as_it_was(model):
        return run_study(measure, open_session(wanted, loaded, videos), progress)


def _device_of(backbone: nn.Module) -> str:
    return str(next((parameter.device for parameter in backbone.parameters()), "auto"))


def _shape_of(videos: VideoList, loaded: LoadedBackbone | None) -> dict[str, int]:
    """All frames of clips in memory, and their own size where nothing says what the backbone expects."""
    with videos.videos[0].open() as reader:
        frames, height, width = len(reader), *reader.frames([0]).shape[2:]
    shape = {"num_frames": frames, "frame_stride": 1}
    known = loaded is None or isinstance(getattr(loaded.backbone, "input_spec", None), InputSpec)
    return shape if known else {**shape, "size": min(height, width)}


@contextmanager
def _left_as_it_was(model: Any) -> Iterator[None]:
    """The user's own module gets its modes and its device back, whatever happens."""
    if not isinstance(model, nn.Module):
        yield
        return
    modes = [(module, module.training) for module in model.modules()]
    device = next((parameter.device for parameter in model.parameters()), None)
    try:
        yield
    finally:
        if device is not None:
            model.to(device)
        for module, training in modes:
            module.training = training
