"""How wide a journal's figures are. Nothing here imports matplotlib or torch."""

from __future__ import annotations

import math

from fima.errors import InputError

__all__ = ["JOURNALS", "MILLIMETERS", "figure_width"]

JOURNALS = {
    "cvpr": {"column": 3.25, "text": 6.875},
    "ieee": {"column": 3.5, "text": 7.16},
    "neurips": {"column": 5.5, "text": 5.5},
}
"""Inches by the journals' own templates: CVPR's two columns, IEEE's graphics guide (21 and 43 picas), and NeurIPS' one
column, where both words mean the text."""

MILLIMETERS = (60, 300)
"""Narrower than this, text of 7 pt does not fit; wider is a poster."""

_INCH = 25.4


def figure_width(width: str, journal: str = "cvpr") -> float:
    """Inches of a figure.

    Args:
        width: ``column``, ``text``, or a number of millimeters, such as ``89`` or ``89mm``.
        journal: Key of ``JOURNALS``; of no matter for millimeters.

    Raises:
        InputError: For any other word, or a number outside of ``MILLIMETERS``.
    """
    if journal not in JOURNALS:
        raise InputError(f"--journal {journal}: there is no such journal; known: {', '.join(JOURNALS)}")
    if width in JOURNALS[journal]:
        return JOURNALS[journal][width]
    try:
        millimeters = float(width.removesuffix("mm"))
    except ValueError:
        millimeters = math.nan
    low, high = MILLIMETERS
    if not low <= millimeters <= high:
        raise InputError(f"--width {width}: must be column, text, or {low} to {high} (millimeters)")
    return millimeters / _INCH
