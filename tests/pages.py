"""Pages as a visitor opens them, for the tests in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["open_page"]


def open_page(browser: Any, path: Path, **context: Any) -> tuple[Any, list[str]]:
    """The page, and a list that collects whatever goes wrong on it or leaves it."""
    tab = browser.new_context(**context).new_page()
    tab.set_default_timeout(120_000)  # shared machines pause
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    tab.on("request", lambda ask: wrong.append(ask.url[:80]) if not ask.url.startswith(("data:", "file:")) else None)
    tab.goto(path.as_uri())
    return tab, wrong
