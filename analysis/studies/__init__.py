"""Studies: a measure applied to clips of videos, from settings to arrays, scores and figure.

The command line, the notebooks and Python all run these, so they give the same numbers.
"""

from collections.abc import Callable

from analysis.settings import Settings
from analysis.studies import affinity, cam, localize, sensitivity, temporal
from analysis.studies.attribution import study as attribution
from analysis.studies.base import Progress, Session, Study, open_session
from analysis.studies.embedding import study as embedding
from analysis.studies.mechanism import study as mechanism
from fima.errors import InputError

__all__ = ["CORE", "STUDIES", "Progress", "Session", "Settings", "Study", "open_session", "run"]


Run = Callable[[Session, Progress | None], Study]


def _of_the_backbone(measure: str, run: Run) -> Run:
    """Refuses the projected space, where strength and place of a feature say nothing."""

    def checked(session: Session, progress: Progress | None = None) -> Study:
        if session.space is not None:
            raise InputError(f"space projected: {measure} is of the backbone's own features; see affinity and temporal")
        return run(session, progress)

    return checked


STUDIES: dict[str, Run] = {
    "cam": _of_the_backbone("cam", cam.run),
    "affinity": affinity.run,
    "temporal": temporal.run,
    "localize": _of_the_backbone("localize", localize.run),
    "sensitivity": _of_the_backbone("sensitivity", sensitivity.run),
    "attribution": _of_the_backbone("attribution", attribution.run),
    "embedding": _of_the_backbone("embedding", embedding.run),
    "mechanism": _of_the_backbone("mechanism", mechanism.run),
}
CORE = ("cam", "affinity", "temporal", "localize", "sensitivity")
"""Those that cost forward passes alone and need no particular checkpoint: what a comparison takes by default."""


def run(measure: str, session: Session | Settings, progress: Progress | None = None) -> Study:
    """Run one study.

    Args:
        measure: A key of ``STUDIES``.
        session: An open session, or settings to open one with.
        progress: Called after each video.
    """
    if isinstance(session, Settings):
        session = open_session(session)
    return STUDIES[measure](session, progress)
