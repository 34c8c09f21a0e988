"""The affinity explorer: move over an RGB frame, and see where its motion features are alike, as you move."""

from analysis.pages.explorer.clip import ExplorerClip
from analysis.pages.explorer.page import ExplorerView, explorer_fragment, explorer_page, script_hash
from analysis.pages.explorer.sessions import Explored, clips_from_session, explore_sessions, open_sessions

__all__ = [
    "Explored",
    "ExplorerClip",
    "ExplorerView",
    "clips_from_session",
    "explore_sessions",
    "explorer_fragment",
    "explorer_page",
    "open_sessions",
    "script_hash",
]
