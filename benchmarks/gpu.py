"""Everything that needs a GPU, in order of worth, each part within its time; results as one JSON, logs beside it.

`make gpu` runs it. What a part prints goes to OUT/<part>.log; OUT/gpu.json is written anew after every part, so that a
session that is cut off keeps what it had. `--device cpu` rehearses all of it where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MOVING = (
    "pan=0.07,slowest=0,zoom=0.008,shake=0.01,amplitude=0.01-0.2,period=16-80,radius=0.08-0.28,blur=0.4,shadow=0.2,"
    "still_copies=1,still_in=either,picture_share=0.2,tilt=1.2,parallax=0.6,ripple=0.1,bend=0.1,tiled=true"
)
"""The world of small-fima's third run (docs/reproduction.md)."""


@dataclass(frozen=True)
class Part:
    """One command.

    Attributes:
        name: Of its log.
        seconds: After which it is stopped.
        command: Arguments of the Python interpreter.
        least: With fewer seconds left than this it is not begun.
    """

    name: str
    seconds: int
    command: list[str]
    least: int = 10
    environment: dict[str, str] = field(default_factory=dict)


def parts(device: str, out: Path, runs: Path, textures: str = "") -> list[Part]:
    """What is run, most wanted first.

    Args:
        device: cuda, or cpu for a rehearsal.
        out: Folder of the results.
        runs: Folder of the reproduction's trainings, which go on there.
        textures: Pictures and clips that natural looks are cut from; "": the two that come along.
    """
    accelerator, steps = ("cpu", 4) if device == "cpu" else ("gpu", 200)
    step = ["benchmarks/bench_fima_step.py", "--device", device, *(["--rounds", "1"] if device == "cpu" else [])]
    train = ["-m", "fima.cli", "pretrain", "--recipe=fima-shapes", "--data=shapes:camera,videos=400"]
    train += [f"--trainer.accelerator={accelerator}", "--trainer.precision=bf16-mixed", f"--trainer.max_steps={steps}"]
    small, long = ("quick", "quick") if device == "cpu" else ("small", "long")
    reproduce = ["-m", "analysis.cli", "reproduce", "--regimes", "camera", "--device", device, "--runs", str(runs)]
    first = [*reproduce, "--budget", small, "--out", str(out / "reproduction")]
    many = [*reproduce, "--lanes", str(min(6, os.cpu_count() or 1))]
    steps_pay = [*many, "--budget", long, "--curves", "--out", str(out / "reproduction-long"), "--methods"]
    steps_pay += ["random", "vd", "pixel", "fima", "fima-no-decoder", "fima-no-foreground", "fima-no-frame"]
    seeds = [*many, "--budget", small, "--seeds", "0", "1", "2", "--out", str(out / "reproduction-seeds")]
    tests = ["-m", "pytest", "-q", "-m", "gpu", "tests/gpu", "-p", "no:cacheprovider"]
    return [
        Part("tests", 150, tests, environment={"FIMA_GPU_DEVICE": device}),
        Part("step-112", 60, [*step, "--sizes-only", "--size", "112"]),
        Part("step-224", 60, [*step, "--sizes-only", "--size", "224"]),
        Part("step-112-compiled", 90, [*step, "--sizes-only", "--size", "112", "--compile"]),
        Part("training-with-loader", 60, [*train, f"--out={out / 'throughput'}"]),
        Part("step-limits", 60, step),
        Part("reproduce", 3600, first, least=60),
        Part("reproduce-long", 7200, steps_pay, least=60),
        Part("reproduce-seeds", 7200, seeds, least=60),
        *_moving(device, out, runs.with_name(f"moving-{device}"), f",textures={textures}" if textures else ""),
    ]


def _moving(device: str, out: Path, runs: Path, textures: str) -> Iterator[Part]:
    """FIMA, MoCo and MoCo + L_VD with L_move and without, alike in all else; then what they see of motion."""
    videos, last = (64, ["--trainer.max_steps=4"]) if device == "cpu" else (4000, [])
    world = f"shapes:natural,videos={videos},size=96,num_frames=48,{_MOVING}{textures}"
    names = [f"{method}-moving" for method in ("fima", "moco", "vd")]
    recipes = {name: [f"--recipe={name}"] for name in names}
    recipes |= {f"{name}-without": [f"--recipe={name}", "--method.moving_weight=0"] for name in names}
    train = ["-m", "fima.cli", "pretrain", f"--data={world}", "--resume=auto", *last]
    train += [f"--trainer.accelerator={'cpu' if device == 'cpu' else 'gpu'}"]
    for name, recipe in recipes.items():
        yield Part(name, 3600, [*train, *recipe, f"--out={runs / name}"], least=60)
    judge = ["-m", "analysis.cli", "judge", "--size=112", "--dense=1", f"--device={device}", "--overwrite"]
    judge += [f"--data=shapes:outdoors,videos={8 if device == 'cpu' else 100}{textures}", "--split=test"]
    judge += [f"--out={out / 'moving'}", "--ckpt", *(str(runs / name / "last.ckpt") for name in recipes)]
    yield Part("moving-judge", 900, judge, least=60)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=540, help="in all; what does not fit any more is left out")
    parser.add_argument("--textures", default="", help="pictures and clips for natural looks (default: two pictures)")
    parser.add_argument("--only", nargs="+", help="names of parts")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + args.seconds
    done: dict[str, dict[str, object]] = {}
    results = {"machine": _machine(args.device), "parts": done}
    for part in parts(args.device, args.out, ROOT / "runs" / "reproduction-gpu", args.textures):
        left = end - time.monotonic()
        if args.only and part.name not in args.only:
            continue
        done[part.name] = _run(part, min(left, part.seconds), args.out) if left > part.least else {"code": "no time"}
        (args.out / "gpu.json").write_text(json.dumps(results, indent=1))
    print(json.dumps(results, indent=1))
    return int(any(part["code"] not in (0, "time", "no time") for part in done.values()))


def _machine(device: str) -> dict[str, str]:
    import torch

    card = torch.cuda.get_device_name() if device != "cpu" else f"{os.cpu_count()} processors"
    return {"card": card, "torch": torch.__version__, "cuda": str(torch.version.cuda), "python": sys.version.split()[0]}


def _run(part: Part, seconds: float, out: Path) -> dict[str, object]:
    began = time.monotonic()
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"} | part.environment
    log = out / f"{part.name}.log"
    with log.open("w") as file:
        command = ["timeout", "--kill-after=10", f"{seconds:.0f}", sys.executable, *part.command]
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=ROOT, check=False)
    spent = round(time.monotonic() - began, 1)
    last = log.read_text(errors="replace").splitlines()[-30:]
    stopped = code.returncode in (124, 137, -9)  # the last two where it did not end by itself
    return {"code": "time" if stopped else code.returncode, "seconds": spent, "last_lines": last}


if __name__ == "__main__":
    sys.exit(main())
