"""How long ``fima-analyze --help`` takes, and whether the memory of ``--data`` runs stays flat."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from limits import check, finish, medians, peak_elsewhere, peak_mib
from star import moving_shape

from analysis.cli import main as analyze
from fima.data.transcode.encode import write_video

HELP_LIMIT, MEMORY_LIMIT = 0.3, 1.05
BIN = Path(sys.executable).parent


def main() -> None:
    check("fima-analyze --help", _help_seconds(), most=HELP_LIMIT, unit="s")
    with tempfile.TemporaryDirectory() as folder:
        for measure in ("affinity", "temporal", "cam"):
            few, many = (_peak(measure, _data(Path(folder), count), Path(folder) / "out") for count in (20, 200))
            said = f"{measure} --data, peak memory: {many:.0f} MiB for 200 videos, {few:.0f} MiB for 20"
            check(said, many / few, most=MEMORY_LIMIT)


def _help_seconds() -> float:
    command = [str(BIN / "fima-analyze"), "--help"]
    return medians(lambda: subprocess.run(command, check=True, capture_output=True), rounds=7)[0]


def _data(folder: Path, count: int) -> Path:
    """``count`` videos: copies of eight."""
    data = folder / f"data{count}"
    if data.exists():
        return data
    data.mkdir()
    for i in range(8):
        frames = moving_shape(i, num_frames=60, height=120, width=160).frames
        write_video(data / f"{i:03d}.mp4", [frame.transpose(1, 2, 0) for frame in frames], fps=25)
    for i in range(8, count):
        shutil.copy(data / f"{i % 8:03d}.mp4", data / f"{i:03d}.mp4")
    return data


def _peak(measure: str, data: Path, out: Path) -> float:
    return peak_elsewhere(measure, "--data", str(data), "--out", str(out / f"{measure}-{data.name}"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        code = analyze(sys.argv[1:])
        print(peak_mib())
        sys.exit(code)
    main()
    finish()
