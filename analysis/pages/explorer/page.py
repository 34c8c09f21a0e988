"""The explorer as text: a fragment for any page, a page of its own, and something that a notebook shows."""

from __future__ import annotations

import html
from collections.abc import Sequence
from hashlib import sha256

from markupsafe import Markup

from analysis.pages.environment import read_template, render
from analysis.pages.environment import script_hash as hash_of
from analysis.pages.explorer.clip import ExplorerClip
from analysis.pages.explorer.encoding import encode_clips

__all__ = ["ExplorerView", "explorer_fragment", "explorer_page", "script_hash"]


def explorer_fragment(clips: Sequence[ExplorerClip], *, title: str | None = None, alone: bool = True) -> str:
    """An explorer to put into a page: markup with its own style, data and script.

    Everything is found from the fragment's root element (class ``fima-explorer``), so that a page may hold several.
    The script runs where the page's source holds the fragment (not where it is set as ``innerHTML``).

    Args:
        clips: Of the same checkpoints, in the order of the selector.
        title: Its heading (``h3``), if any; a text.
        alone: Whether the page may be anyone's; False leaves the colors to a page of ``base.html``.

    Raises:
        InputError: For no clip, or clips of different checkpoints.
    """
    return render("explorer.html", title=title, data=encode_clips(clips), script=Markup(_script()), alone=alone)


def explorer_page(
    clips: Sequence[ExplorerClip],
    *,
    title: str = "Affinity explorer",
    about: str | None = None,
    warnings: Sequence[str] = (),
    command: str | None = None,
) -> str:
    """A page that holds one explorer; it needs no network and no other file.

    Args:
        clips: Of the same checkpoints.
        title: Of the page.
        about: A line below it.
        warnings: Lines that stand out, such as that weights are untrained.
        command: The command line that makes the page again.

    Raises:
        InputError: For no clip, or clips of different checkpoints.
    """
    explorer = Markup(explorer_fragment(clips, alone=False))  # escaped by its template
    return render("explorer_page.html", title=title, about=about, warnings=warnings, command=command, explorer=explorer)


def script_hash() -> str:
    """The fragment's script as a content security policy names it: ``sha256-…``."""
    return hash_of(_script())


class ExplorerView:
    """An explorer that JupyterLab shows as the value of a cell, in a frame of its own so that its script runs.

    Args:
        clips: Of the same checkpoints.
        title: Of its page.
        height: Of the frame, in pixels; by default as tall as what it holds.
    """

    def __init__(
        self, clips: Sequence[ExplorerClip], *, title: str = "Affinity explorer", height: int | None = None
    ) -> None:
        self.clips, self.title, self.height = list(clips), title, height

    def _repr_html_(self) -> str:
        page = explorer_page(self.clips, title=self.title)
        name = f"fima-{sha256(page.encode('utf-8', 'replace')).hexdigest()[:12]}"
        frame = (
            f'<iframe id="{name}" title="{html.escape(self.title, quote=True)}" sandbox="allow-scripts" '
            f'srcdoc="{html.escape(page, quote=True)}" style="width: 100%; height: {self.height or 1100}px; border: 0">'
            "</iframe>"
        )
        # The frame tells its height; where scripts are stripped it scrolls.
        return frame if self.height else f"{frame}<script>{_FOLLOW % name}</script>"


_FOLLOW = (
    'addEventListener("message", (event) => { const frame = document.getElementById("%s"); '
    "if (frame && event.source === frame.contentWindow && event.data.fimaHeight) "
    "frame.style.height = `${event.data.fimaHeight}px`; });"
)


def _script() -> str:
    """Its parts in one function, so that nothing of it is seen by the page or by another explorer."""
    parts = "".join(map(read_template, ("explorer_data.js", "explorer_draw.js", "explorer.js")))
    return f"(() => {{\n{parts}}})();"
