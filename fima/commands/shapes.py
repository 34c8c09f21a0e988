"""``fima shapes``: a procedural data set as real files, with its truth."""

from __future__ import annotations

import argparse
import os
import sys

from fima.progress import Progress

__all__ = ["add_arguments", "run"]

_EPILOG = """\
Videos of one textured object that moves in one of ten ways over a textured background. Regimes: easy; camera (it pans
and trembles); clutter (a small object among drifting ones); changing (the motion changes on the way); natural (all that
is seen is cut from real pictures or videos, with --textures your own: a benchmark with exact truth in your domain);
outdoors (natural, with a ground in depth, water, bodies that bend, cameras from rest to haste); noise (object and
background are the same noise: only motion shows them; add --crf 0).
The same without files: --data shapes:camera, wherever a data set is asked for.

examples:
  fima shapes shapes-easy --videos 500 --test 200
  fima shapes hard --regime camera --set shake=0.04 size=112 --videos 100 --truth masks flow backgrounds
  fima shapes mine --regime natural --textures my_videos/ holiday.jpg --videos 200 --truth masks flow
  fima-analyze localize --data hard/train.csv --masks hard/masks --ckpt runs/x/last.ckpt
exit codes: 0 done, 2 bad input, 130 interrupted (the same command goes on)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``fima shapes``."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", metavar="DIR", help="the folder to write into; made if missing")
    parser.add_argument(
        "--regime", default="easy", help="easy (the default), camera, clutter, changing, natural, outdoors, noise"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KNOB=VALUE", help="knobs of fima.data.shapes.ShapesWorld"
    )
    parser.add_argument(
        "--textures",
        nargs="+",
        metavar="PATH",
        help="pictures, videos or folders of them that natural looks are cut from (default: scikit-learn's two sample "
        "pictures, CC BY 2.0)",
    )
    parser.add_argument(
        "--objects",
        metavar="DIR",
        help="natural objects: PNG with a transparent background, or videos/ and masks/ (default: smooth outlines "
        "filled from --textures)",
    )
    parser.add_argument("--videos", type=int, default=500, metavar="N", help="of the train split (default: 500)")
    parser.add_argument("--val", type=int, default=0, metavar="N", help="of the val split (default: none)")
    parser.add_argument("--test", type=int, default=0, metavar="N", help="of the test split (default: none)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of all videos (default: 0)")
    parser.add_argument(
        "--truth",
        nargs="*",
        default=["masks"],
        metavar="WHAT",
        help="masks, flow, backgrounds, copies (default: masks)",
    )
    parser.add_argument("--crf", type=int, default=12, metavar="N", help="quality, 0 to 51 (default: 12)")


def run(args: argparse.Namespace) -> int:
    """Write the data set, with progress.

    Raises:
        InputError: if a flag cannot be used.
    """
    from fima.data.shapes.export import write_shapes

    looks = [f"textures={os.pathsep.join(args.textures)}"] if args.textures else []
    looks += [f"objects={args.objects}"] if args.objects else []
    text = ",".join([f"shapes:{args.regime}", f"seed={args.seed}", *looks, *args.set])
    videos = {"train": args.videos, "val": args.val, "test": args.test}
    with Progress("draw", unit="videos") as shown:
        write_shapes(args.folder, text, videos, truth=args.truth, crf=args.crf, progress=shown)
    lists = ", ".join(f"{args.folder}/{split}.csv" for split, count in videos.items() if count)
    sys.stdout.write(f"{sum(videos.values())} videos in {args.folder}; lists: {lists}\n")
    return 0
