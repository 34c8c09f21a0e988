"""``python -m analysis.reproduction.judge``: checkpoints on real clips with masks, beside maps that need no network.

The table that decides whether a backbone sees motion in real clips: localization and the mover against its still copy,
with paired differences to the first checkpoint. Judge with clips that nothing was trained on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.inputs.video.videos import list_videos
from analysis.measures.common.numbers import interval, number
from analysis.measures.common.statistics import paired_difference
from analysis.settings import Settings
from analysis.studies import open_session, run
from analysis.studies.common.study import Study

__all__ = ["judge"]

SCORES = {
    ("localize", "ring_auroc"): "AUROC, as far from the center",
    ("localize", "auroc"): "AUROC",
    ("localize", "energy"): "energy",
    ("mover", "picture"): "mover, picture",
    ("mover", "world"): "mover, world",
    ("mover", "control"): "both move",
    ("mover", "seam"): "both rest",
}
MAPS = {"center_": "centered Gaussian", "difference_": "frame difference"}
"""Maps that need no network: prefix of their scores → name."""

_Studies = Mapping[str, Study]


def judge(checkpoints: Sequence[str], settings: Settings) -> str:
    """The table, in Markdown.

    Args:
        checkpoints: as ``--ckpt`` takes them; the first is the one that others are compared with.
        settings: videos, masks and clips.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: one line that names what cannot be used.
    """
    measured: dict[str, _Studies] = {}
    for name in checkpoints:
        session = open_session(replace(settings, ckpt=name))
        measured[name] = {measure: run(measure, session) for measure in ("localize", "mover")}
    first = measured[checkpoints[0]]
    lines = [f"| | {' | '.join(SCORES.values())} |", "|---" * (len(SCORES) + 1) + "|"]
    lines += [_row(f"`{name}`", studies, "", first) for name, studies in measured.items()]
    lines += [_row(f"{label}, no network", first, prefix, first) for prefix, label in MAPS.items()]
    videos = len(list_videos(settings).videos)
    lines += [
        "",
        f"{videos} videos; mean [95 % interval], and below each the paired difference of the first row to it.",
    ]
    return "\n".join(lines)


def _row(name: str, studies: _Studies, prefix: str, first: _Studies) -> str:
    cells = []
    for measure, score in SCORES:
        study, base = studies[measure], first[measure]
        summary = study.scores.get(f"{prefix}{score}")
        if summary is None:
            cells.append("–")
            continue
        text = interval(summary)
        if (study, prefix) != (base, ""):
            text += f"<br>{_difference(study, f'{prefix}{score}', base, score)}"
        cells.append(text)
    return f"| {name} | {' | '.join(cells)} |"


def _difference(study: Study, name: str, base: Study, base_name: str) -> str:
    """How much higher the first checkpoint is on the same videos."""
    own, other = (
        dict(zip(s.video_scores["video_id"].tolist(), np.asarray(s.video_scores[n], float).tolist(), strict=True))
        for s, n in ((study, name), (base, base_name))
    )
    shared = [video for video in own if video in other]
    found = paired_difference([own[video] for video in shared], [other[video] for video in shared])
    text = f"{found.mean:+.3f}"
    return f"{text} [{number(found.low)}, {number(found.high)}]" if np.isfinite(found.low) else text


def main() -> int:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", nargs="+", required=True, help="checkpoints; the first is compared with the others")
    parser.add_argument("--data", required=True, help="a data set, or shapes:REGIME")
    parser.add_argument("--masks", help="where its objects are; drawn videos need none")
    parser.add_argument("--arch", metavar="NAME", help="architecture of random weights (default: tiny)")
    parser.add_argument("--size", type=int, help="short side in pixels (default: each backbone's own)")
    parser.add_argument("--out", type=Path, help="a file for the table")
    args = parser.parse_args()
    table = judge(args.ckpt, Settings(arch=args.arch, data=args.data, masks=args.masks, size=args.size))
    sys.stdout.write(f"{table}\n")
    if args.out is not None:
        args.out.write_text(f"{table}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
