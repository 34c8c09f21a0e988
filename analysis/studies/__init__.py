"""Studies: a measure applied to clips of videos, from settings to arrays, scores and figure.

The command line, the notebooks and Python all run these, so they give the same numbers.
"""

from analysis.settings import Settings
from analysis.studies import affinity, attribution, cam, embedding, localize, mechanism, sensitivity, temporal
from analysis.studies.base import Progress, Session, Study, open_session

__all__ = ["CORE", "STUDIES", "Progress", "Session", "Settings", "Study", "open_session", "run"]

STUDIES = {
    "cam": cam.run,
    "affinity": affinity.run,
    "temporal": temporal.run,
    "localize": localize.run,
    "sensitivity": sensitivity.run,
    "attribution": attribution.run,
    "embedding": embedding.run,
    "mechanism": mechanism.run,
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
