"""``fima extract`` under torchrun: the rows of one process, in the same order."""

import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from fima.evaluation.feature_store import read_metadata

TYPED = ["-m", "fima.cli", "extract", "--ckpt", "tiny-fima", "--clips", "2", "--device", "cpu"]


def environment():
    """Without what an outer launcher may have left."""
    launcher = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    return {**{k: v for k, v in os.environ.items() if k not in launcher}, "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_two_processes_write_the_rows_of_one(tmp_path):
    """Files in two parts, of 64 and 6 videos, one for each process; one file of the first part is broken."""
    made = [sys.executable, "-m", "fima.cli", "shapes", str(tmp_path / "s"), "--videos", "70", "--set", "size=64"]
    subprocess.run(made, check=True, env=environment(), capture_output=True)
    files = sorted((tmp_path / "s").rglob("*.mp4"))
    files[3].write_bytes(b"broken")
    data = ["--data", str(tmp_path / "s"), "--split", "train"]

    def extract(name, *launcher):
        out = tmp_path / name
        done = subprocess.run(
            [sys.executable, *launcher, *TYPED, *data, "--out", str(out)],
            env=environment(), capture_output=True, text=True, timeout=500,
        )  # fmt: skip
        assert out.exists(), done.stderr
        return out, done

    one, alone = extract("one.parquet")
    two, shared = extract("two.parquet", "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    first, second = pq.read_table(one), pq.read_table(two)
    assert first.num_rows == 2 * 69
    for name in ("video", "clip", "label", "class_name", "content"):
        assert first[name].to_pylist() == second[name].to_pylist(), name
    vectors = [np.array(table["vector"].to_pylist()) for table in (first, second)]
    np.testing.assert_allclose(vectors[0], vectors[1], rtol=0, atol=1e-6)
    assert np.ptp(vectors[0], axis=0).max() > 1e-3
    kept = [read_metadata(path) for path in (one, two)]
    assert kept[0] == kept[1]
    assert not list(tmp_path.glob(".*parts"))
    assert len(kept[0]["skipped"]) == 1
    assert alone.returncode == 3
    assert f"69 videos in {two}" in shared.stdout
