"""What the site takes from outside of ``docs``: pictures of the gallery, and how to contribute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parents[1]
_MOVED = (("](../reports/gallery/", "](gallery/"), ("](../CONTRIBUTING.md", "](CONTRIBUTING.md"), ("](docs/", "]("))


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pictures and the page.

    Args:
        files: Of ``docs``.
        config: Of the site.
    """
    for path in sorted((_ROOT / "reports" / "gallery").glob("*.png")):
        files.append(File.generated(config, f"gallery/{path.name}", abs_src_path=str(path)))
    files.append(File.generated(config, "CONTRIBUTING.md", abs_src_path=str(_ROOT / "CONTRIBUTING.md")))
    return files


def on_page_markdown(markdown: str, **_context: Any) -> str:
    """Lead links to where things are in the site."""
    for old, new in _MOVED:
        markdown = markdown.replace(old, new)
    return markdown


def on_post_page(output: str, *, page: Any, **_context: Any) -> str:
    """Take from the site itself what the theme would load from the network.

    Args:
        output: The page.
        page: Where it is.
    """
    up = "../" * page.file.dest_uri.count("/")
    return output.replace("https://unpkg.com/iframe-worker/shim", f"{up}assets/worker.js")
