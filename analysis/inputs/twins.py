"""The untrained twin of a backbone: what its architecture alone would score."""

from __future__ import annotations

from analysis.inputs.sessions import Session, make_session
from analysis.inputs.videos import VideoList
from fima.checkpoints import untrained_backbone
from fima.errors import InputError

__all__ = ["untrained_twin"]


def untrained_twin(session: Session) -> Session | None:
    """The session with an untrained backbone of the same architecture; None where the backbone is one, or unknown."""
    loaded = session.loaded
    if not loaded.trained or loaded.arch is None or ":" in loaded.arch:
        return None
    try:
        twin = untrained_backbone(loaded.arch, seed=session.settings.seed, input_spec=loaded.input, **loaded.settings)
    except InputError:
        return None
    return make_session(session.settings, twin, VideoList(session.videos), type(session.extractor))
