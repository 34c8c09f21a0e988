"""``fima detect``: train an action detector on AVA, and measure it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fima.commands.flags import CKPT_HELP, inputs_of
from fima.presets.loader import preset_names
from fima.progress import Progress

__all__ = ["add_arguments", "run"]

_EPILOG = """\
DIR is AVA as PySlowFast or MMAction2 lays it out (docs/datasets.md). DIR2/last.ckpt is the detector; result.json the
frame-mAP at IoU 0.5 with everything that it depends on; detections.csv AVA's own table, with scores; skipped.csv what
could not be read. Ctrl-C stops after a whole step and saves; the same command with --resume auto goes on, also after
a crash.

examples:
  fima detect --ckpt maclr.pyth --data ava --preset maclr --out runs/ava-maclr --threads 16
  fima detect --ckpt random --arch r2plus1d_18 --data ava --preset severe --out runs/ava-random
  python -m fima.data.shapes.detection miniature        (AVA's layout, of moving shapes)
  fima detect --ckpt tiny-fima --data miniature --preset small --freeze --out runs/ava-miniature
exit codes: 0 done, 2 bad input, 3 done but some keyframes cannot be read, 4 training stopped, 130 (or 128 and
the signal's number) interrupted
"""
_SOME_SKIPPED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima detect``."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--ckpt", metavar="CKPT", required=True, help=CKPT_HELP)
    parser.add_argument("--arch", metavar="NAME", help="architecture; default: from the file (random: tiny)")
    parser.add_argument("--input-spec", metavar="SPEC", help="a file, or words such as num_frames=8;size=224")
    parser.add_argument("--trust-checkpoint", action="store_true", help="read the file even if that runs code in it")
    parser.add_argument("--data", metavar="DIR", required=True, help="AVA's folder (see docs/datasets.md)")
    parser.add_argument("--version", default="2.2", metavar="V", help="2.1 or 2.2 (default: 2.2)")
    parser.add_argument("--boxes", metavar="FILE", help="person boxes to test on, or gt (default: PySlowFast's)")
    parser.add_argument("--min-score", type=float, metavar="P", help="of person boxes (default: the preset's)")
    parser.add_argument("--start-second", type=float, metavar="S", help="of the film, that files begin with")
    presets = ", ".join(preset_names("detection"))
    parser.add_argument("--preset", default="small", metavar="NAME", help=f"one of {presets} (default: small)")
    parser.add_argument("--epochs", type=int, metavar="N", help="default: the preset's")
    parser.add_argument("--batch-size", type=int, metavar="N", help="keyframes in a step (default: the preset's)")
    parser.add_argument("--warmup-epochs", type=float, metavar="E", help="below --epochs (default: the preset's)")
    parser.add_argument("--lr", type=float, metavar="R", help="default: the preset's")
    parser.add_argument("--freeze", action="store_true", help="train the head alone")
    parser.add_argument("--out", metavar="DIR2", required=True, help="the folder to write into; made if missing")
    parser.add_argument(
        "--resume", default="never", metavar="HOW", help="auto, never, or a checkpoint (default: never)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, … (default: auto)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="that decode (default: 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of weights and draws (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Train what is not trained yet, test, write what came out.

    Raises:
        InputError: If a flag, the checkpoint or the data cannot be used.
        TrainingError: If training cannot go on.
    """
    from fima.data.datasets.layouts.ava import open_ava
    from fima.errors import InputError
    from fima.presets.detection import detection_preset
    from fima.tasks.detect.config import DetectConfig

    preset = detection_preset(args.preset).changed(
        epochs=args.epochs, batch_size=args.batch_size, lr=args.lr, warmup_epochs=args.warmup_epochs,
        min_score=args.min_score,
    )  # fmt: skip
    if args.threads < 1 or args.seed < 0:
        raise InputError(f"--threads must be at least 1 and --seed at least 0, got {args.threads} and {args.seed}")
    if Path(args.out).exists() and not Path(args.out).is_dir():
        raise InputError(f"--out {args.out}: is a file, expected a folder")
    data = open_ava(args.data, args.version, boxes=args.boxes, min_score=preset.min_score)
    if not data.test:
        raise InputError(f"{data.boxes}: no person box has a score of at least {preset.min_score}; lower --min-score")

    from fima.evaluation.backbone import open_backbone
    from fima.tasks.detect.run import detect

    config = DetectConfig.of(
        preset, data=str(args.data), out=args.out, seed=args.seed, resume=args.resume, version=data.version,
        classes=tuple(data.class_ids), start_second=args.start_second, freeze=args.freeze, threads=args.threads,
    )  # fmt: skip
    loaded, device = open_backbone(
        args.ckpt, arch=args.arch, seed=args.seed, trust=args.trust_checkpoint, input_spec=args.input_spec,
        device=args.device,
    )  # fmt: skip
    command = shlex.join(["fima", "detect", *_typed()])
    with Progress("test", unit="keyframes", ends=True) as shown:
        result = detect(config, data, loaded, device, command=command, inputs=inputs_of(args), tested=shown)
    _report(result, Path(args.out))
    unread = any(result["unread_keyframes"].values()) or result["missing_videos"]
    return _SOME_SKIPPED if unread else 0


def _typed() -> list[str]:
    """The words after the command's name, as they were typed."""
    words = sys.argv[1:]
    return words[1:] if words[:1] == ["detect"] else words


def _report(result: Mapping[str, Any], out: Path) -> None:
    value = "none" if result["mAP"] is None else f"{100 * result['mAP']:.2f} %"
    keyframes, boxes = result["keyframes"]["test"], result["boxes"]["test"]
    sys.stdout.write(
        f"frame-mAP@0.5 {value} over {result['classes_with_truth']} classes, {keyframes} keyframes, {boxes} boxes; "
        f"in {out / 'result.json'}\n"
    )
    unread = sum(result["unread_keyframes"].values())
    if unread or result["missing_videos"]:
        sys.stdout.write(
            f"{unread} keyframes cannot be read and {len(result['missing_videos'])} films are not there, "
            f"listed in {out / 'skipped.csv'}\n"
        )
