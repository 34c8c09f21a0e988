"""What a user gets from the wheel, in an empty environment and far from the checkout."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def _run(*words, cwd):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def test_a_report_from_an_installed_wheel(repo_dir, tmp_path):
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, repo_dir, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    empty = tmp_path / "empty"
    venv.create(empty, with_pip=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "10", "--timeout", "60"]
    _run(
        empty / "bin" / "python",
        *install,
        "-c",
        repo_dir / "constraints.txt",
        f"{wheel}[analysis,notebooks]",
        cwd=tmp_path,
    )
    where = _run(empty / "bin" / "python", "-c", "import analysis, fima; print(analysis.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(empty)
    said = _run(empty / "bin" / "fima-analyze", "report", "--notebooks", "--out", "report", cwd=tmp_path)
    assert said.strip() == "report: report/index.html"
    for measure in ("cam", "affinity", "temporal"):
        assert (tmp_path / "report" / "tiny-fima" / f"{measure}.html").stat().st_size > 10_000
