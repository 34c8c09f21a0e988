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
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


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


def parts(device: str, out: Path, runs: Path) -> list[Part]:
    """What is run, most wanted first."""
    accelerator, steps = ("cpu", 4) if device == "cpu" else ("gpu", 200)
    step = ["benchmarks/bench_fima_step.py", "--device", device, *(["--rounds", "1"] if device == "cpu" else [])]
    train = ["-m", "fima.cli", "pretrain", "--recipe=fima-shapes", "--data=shapes:camera,videos=400"]
    train += [f"--trainer.accelerator={accelerator}", "--trainer.precision=bf16-mixed", f"--trainer.max_steps={steps}"]
    reproduce = ["-m", "analysis.cli", "reproduce", "--budget", "quick" if device == "cpu" else "small"]
    reproduce += ["--regimes", "camera", "--device", device, "--runs", str(runs), "--out", str(out / "reproduction")]
    tests = ["-m", "pytest", "-q", "-m", "gpu", "tests/gpu", "-p", "no:cacheprovider"]
    return [
        Part("tests", 150, tests, environment={"FIMA_GPU_DEVICE": device}),
        Part("step-112", 60, [*step, "--sizes-only", "--size", "112"]),
        Part("step-224", 60, [*step, "--sizes-only", "--size", "224"]),
        Part("step-112-compiled", 90, [*step, "--sizes-only", "--size", "112", "--compile"]),
        Part("training-with-loader", 60, [*train, f"--out={out / 'throughput'}"]),
        Part("step-limits", 60, step),
        Part("reproduce", 3600, reproduce, least=60),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=540, help="in all; what does not fit any more is left out")
    parser.add_argument("--only", nargs="+", help="names of parts")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + args.seconds
    done: dict[str, dict[str, object]] = {}
    results = {"machine": _machine(args.device), "parts": done}
    for part in parts(args.device, args.out, ROOT / "runs" / "reproduction-gpu"):
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
    return {"code": "time" if code.returncode == 124 else code.returncode, "seconds": spent, "last_lines": last}


if __name__ == "__main__":
    sys.exit(main())
