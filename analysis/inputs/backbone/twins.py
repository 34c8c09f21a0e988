"""The untrained twin of a backbone: what its architecture alone would score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from analysis.inputs.backbone.randomized import cascade, layers_from_top
from analysis.inputs.sessions import Session, make_session
from analysis.inputs.video.videos import VideoList
from fima.checkpoints import untrained_backbone
from fima.errors import InputError
from fima.models.registry import is_custom

__all__ = ["has_untrained", "untrained_twin", "untrained_twins"]


def untrained_twin(session: Session) -> Session | None:
    """The session with an untrained backbone of the same architecture, of the same videos.

    Where nobody knows how to build the architecture, such as of your own module, it is a copy whose layers are all
    initialized anew (`analysis.inputs.backbone.randomized`).

    Args:
        session: Of the trained backbone; ``settings.seed`` is that of the twin's weights.

    Returns:
        None where the backbone is untrained itself or has no weights, or where features are projected: a
        twin has no trained projector.
    """
    loaded = session.loaded
    if not loaded.trained or session.space is not None:
        return None
    seed = session.settings.seed
    settings = replace(session.settings, ckpt=f"random:{seed}", twin=False)
    videos, kind = VideoList(session.videos, session.missing), type(session.extractor)
    try:
        if is_custom(loaded.arch):
            raise InputError("not a name")
        twin = untrained_backbone(loaded.arch, seed=seed, input_spec=loaded.input, **loaded.settings)
    except InputError:
        every = len(layers_from_top(session.extractor))
        if not every:
            return None
        session.forget()  # what it keeps of clips would be copied with it
        _, changed = next(cascade(session.extractor, [every], seed))
        untrained = replace(loaded, backbone=changed.backbone, trained=False, path=None, sha256=None)
        return make_session(settings, untrained, videos, kind)
    return make_session(settings, twin, videos, kind)


def has_untrained(sessions: Mapping[str, Session]) -> bool:
    """Whether one of the checkpoints is untrained, so that the others need no twin."""
    return any(not session.loaded.trained for session in sessions.values())


def untrained_twins(sessions: Mapping[str, Session]) -> dict[str, Session]:
    """A twin for each architecture and input among checkpoints that are all trained.

    Args:
        sessions: Name of the checkpoint → session.

    Returns:
        Name → session: ``untrained``, or of several ``untrained (<name of the first that it is the twin of>)``; empty
        where one of the checkpoints is untrained already.
    """
    if has_untrained(sessions):
        return {}
    first: dict[str, str] = {}
    for name, session in sessions.items():
        first.setdefault(repr((session.loaded.arch, session.loaded.settings, session.spec)), name)
    made = {name: twin for name in first.values() if (twin := untrained_twin(sessions[name])) is not None}
    alone = len(made) == 1 and "untrained" not in sessions
    return {"untrained" if alone else f"untrained ({name})": twin for name, twin in made.items()}
