"""``fima detect``: train an action detector on AVA, and measure it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fima.commands.flags import inputs_of
from fima.files import write_csv, write_json
from fima.presets.loader import preset_names
from fima.progress import Progress
from fima.results import claim_output

if TYPE_CHECKING:
    from fima.checkpoints import LoadedBackbone
    from fima.data.datasets.layouts.ava import AvaDataset
    from fima.presets.detection import DetectionPreset

__all__ = ["add_arguments", "run"]

_EPILOG = """\
DIR is AVA as PySlowFast or MMAction2 lays it out (docs/datasets.md). DIR2/last.ckpt is the detector; result.json the
frame-mAP at IoU 0.5 with everything that it depends on; detections.csv AVA's own table, with scores; skipped.csv what
could not be read. After Ctrl-C or a crash, the same command with --resume auto goes on.

examples:
  fima detect --ckpt maclr.pyth --data ava --preset maclr --out runs/ava-maclr --threads 16
  fima detect --ckpt random --arch r2plus1d_18 --data ava --preset severe --out runs/ava-random
  fima detect --ckpt tiny-fima --data miniature --preset small --freeze --out runs/ava-miniature
exit codes: 0 done, 2 bad input, 3 done but some keyframes cannot be read, 4 training stopped, 130 interrupted
"""
_SOME_SKIPPED = 3
_FILES = ("last.ckpt", "result.json", "detections.csv", "skipped.csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima detect``."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--ckpt", metavar="CKPT", required=True, help="a file, tiny-vd, tiny-fima, or random")
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
        InputError: if a flag, the checkpoint or the data cannot be used.
        TrainingError: if training cannot go on.
    """
    from fima.data.datasets.layouts.ava import open_ava
    from fima.errors import InputError
    from fima.presets.detection import detection_preset

    preset = detection_preset(args.preset).changed(
        epochs=args.epochs, batch_size=args.batch_size, lr=args.lr, min_score=args.min_score
    )
    if args.threads < 1 or args.seed < 0:
        raise InputError(f"--threads must be at least 1 and --seed at least 0, got {args.threads} and {args.seed}")
    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file, expected a folder")
    data = open_ava(args.data, args.version, boxes=args.boxes, min_score=preset.min_score)
    if not data.test:
        raise InputError(f"{data.boxes}: no person box has a score of at least {preset.min_score}; lower --min-score")

    from fima.evaluation.backbone import open_backbone

    loaded, device = open_backbone(
        args.ckpt, arch=args.arch, seed=args.seed, trust=args.trust_checkpoint, input_spec=args.input_spec,
        device=args.device,
    )  # fmt: skip
    identity = _identity(args, data, loaded, preset)
    begun = _FILES if args.resume == "auto" and (out / _FILES[0]).is_file() else ()
    with claim_output(out, "detect", identity, names=_FILES, inputs=inputs_of(args), known=begun) as claim:
        claim.expect(*_FILES)
        result, skipped = _train_and_test(args, data, loaded, preset, out, device, identity)
        write_json(out / "result.json", result)
    _report(result, out)
    return _SOME_SKIPPED if skipped else 0


def _train_and_test(
    args: argparse.Namespace,
    data: AvaDataset,
    loaded: LoadedBackbone,
    preset: DetectionPreset,
    out: Path,
    device: Any,
    identity: dict[str, Any],
) -> tuple[dict[str, Any], bool]:
    import torch

    from fima.checkpoints.shipped import checkpoint_name
    from fima.tasks.detect.clips import Films
    from fima.tasks.detect.detector import Detector
    from fima.tasks.detect.testing import measure, score_keyframes, write_detections
    from fima.tasks.detect.train import train_detector

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(args.seed)
        detector = Detector(
            loaded, len(data.class_ids), finer_map=preset.finer_map, freeze=args.freeze, resolution=preset.resolution,
            dropout=preset.dropout,
        ).to(device)  # fmt: skip
    films = Films(data.videos, data.last_seconds, start_second=args.start_second)
    there = [frame for frame in data.train if frame.video in data.videos]
    with Progress("train", unit="steps", ends=True) as shown:
        trained = train_detector(
            detector, there, data.class_ids, films, preset, out, run=identity, seed=args.seed, threads=args.threads,
            resume=args.resume, progress=lambda done, total, loss: shown(done, total, f"loss {loss:.4f}"),
        )  # fmt: skip
    tested = [frame for frame in data.test if frame.video in data.videos]
    with Progress("test", unit="keyframes", ends=True) as shown:
        scored, skipped = score_keyframes(detector, tested, films, preset, threads=args.threads, progress=shown)
    films.close()
    write_detections(out / "detections.csv", scored, data.class_ids, data.evaluated)
    unread = {"train": trained.skipped, "test": skipped}
    _write_skipped(out / "skipped.csv", unread, data.missing)
    result = measure(data, scored, skipped) | {
        "data": str(args.data),
        "keyframes": {"train": len(there), "test": len(tested), "truth": len(data.truth)},
        "boxes": {"train": _boxes(there), "test": _boxes(tested), "truth": _boxes(data.truth)},
        "excluded_keyframes": dict(zip(("train", "val"), data.excluded, strict=True)),
        "excluded_files": list(data.excluded_files),
        "unread_keyframes": {split: len(own) for split, own in unread.items()},
        "unread_videos": {s: dict(Counter(key.rpartition(",")[0] for key in own)) for s, own in unread.items()},
        "missing_videos": list(data.missing),
        "person_boxes": data.boxes,
        "steps": trained.step,
        "input": loaded.input.to_dict(),
        "preset_source": preset.source,
        "preset_notes": list(preset.notes),
        "checkpoint": None if loaded.path is None else checkpoint_name(loaded.path),
        "command": shlex.join(["fima", "detect", *_typed()]),
        **identity,
    }
    return result, bool(trained.skipped or skipped or data.missing)


def _identity(
    args: argparse.Namespace, data: AvaDataset, loaded: LoadedBackbone, preset: DetectionPreset
) -> dict[str, Any]:
    """What a resumed run must share with the one it goes on with."""
    return {
        "preset": preset.settings(),
        "seed": args.seed,
        "freeze": args.freeze,
        "arch": loaded.arch,
        "sha256": loaded.sha256,
        "version": data.version,
        "classes": list(data.class_ids),
        "start_second": args.start_second,
    }


def _boxes(keyframes: Sequence[Any]) -> int:
    return sum(len(frame.boxes) for frame in keyframes)


def _typed() -> list[str]:
    """The words after the command's name, as they were typed."""
    words = sys.argv[1:]
    return words[1:] if words[:1] == ["detect"] else words


def _write_skipped(path: Path, unread: Mapping[str, Mapping[str, str]], missing: Sequence[str]) -> None:
    rows = [(split, *key.rsplit(",", 1), reason) for split, own in unread.items() for key, reason in own.items()]
    rows += [("", film, "", "is not there") for film in missing]
    if rows:
        write_csv(path, ("split", "video", "second", "reason"), rows)
    else:
        path.unlink(missing_ok=True)


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
