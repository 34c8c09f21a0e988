"""The one call of the Python face: a measure of a model on videos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from analysis.inputs.sessions import Progress, open_session
from analysis.settings import Settings
from analysis.studies import Study
from analysis.studies import run as run_study
from fima.checkpoints import LoadedBackbone

__all__ = ["run"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def run(
    measure: str,
    model: str | os.PathLike[str] | LoadedBackbone | None = None,
    *,
    video: Paths | None = None,
    data: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Study:
    """Run a measure of a model on videos.

    Args:
        measure: One of ``analysis.studies.STUDIES``, such as ``cam`` or ``affinity``.
        model: A checkpoint file, the folder of a training run, the name of a backbone that comes with the package,
            ``random`` for an untrained one, or a backbone that is loaded already. None is ``tiny-fima``.
        video: One or several video files; without ``video`` and ``data``, a drawn video.
        data: A data set, instead: a folder, a list of ``path label`` rows, or ``shapes:REGIME``.
        progress: Called with (videos done, videos in all).
        **settings: Further fields of ``analysis.settings.Settings``, such as ``size=112`` or ``layer="layer3"``.

    Returns:
        The study: ``study.frame()``, ``study.per_video()``, ``study.figure()``, ``study.save(folder)``.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.

    >>> study = run("affinity", "random", data="shapes:camera,videos=2", size=56, num_frames=8)
    >>> print(study)  # doctest: +ELLIPSIS
    affinity of tiny (untrained weights), 2 videos
      AUROC, foreground: ...
    """
    given = {"video": video or (), "data": None if data is None else os.fspath(data), **settings}
    if isinstance(model, LoadedBackbone):
        return run_study(measure, open_session(Settings.from_parameters(given), model), progress)
    ckpt = None if model is None else os.fspath(model)
    return run_study(measure, Settings.from_parameters({"ckpt": ckpt, **given}), progress)
