"""Unreadable videos of one process and of several; a quantity's mean over all of them."""

import csv
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from fima.engine.callbacks.failures import FailureWatch
from fima.errors import TrainingError

ONE = SimpleNamespace(world_size=1, is_global_zero=True)


class Batch:
    def __init__(self, size, *failures):
        self.size, self.keys = size, SimpleNamespace(epoch=0)
        self.failures = [SimpleNamespace(path=path, reason=f"{path}: is\nbroken") for path in failures]

    def __len__(self):
        return self.size


def test_each_is_listed_once_and_too_many_stop_the_run(tmp_path):
    told = []
    watch = FailureWatch(tmp_path / "failures.csv", 100, 0.1, told.append)
    for batch in (Batch(4, "a", "a"), Batch(4, "a", "b"), Batch(4)):
        watch.on_train_batch_start(ONE, None, batch, 0)
    assert told == [f"skipped, another video stands in: {name}: is broken" for name in "ab"]
    rows = list(csv.reader((tmp_path / "failures.csv").open()))
    assert rows == [["path", "reason", "epoch"], ["a", "a: is broken", "1"], ["b", "b: is broken", "1"]]
    again = FailureWatch(tmp_path / "failures.csv", 100, 0.1, told.append)
    again.load_state_dict(watch.state_dict())
    with pytest.raises(TrainingError, match="3 of the 16 videos asked for so far cannot be read, more than"):
        again.on_train_batch_start(ONE, None, Batch(4, "c"), 0)


TWO = """
import sys
from pathlib import Path
from types import SimpleNamespace
import torch
import torch.distributed as dist
from fima.engine.callbacks.failures import FailureWatch
from fima.engine.callbacks.record import Means, Recorder
from fima.errors import TrainingError

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}/store", rank=rank, world_size=2)

def reduce(value, reduce_op):
    dist.all_reduce(value)
    return value / 2

strategy = SimpleNamespace(root_device=torch.device("cpu"), reduce=reduce)
trainer = SimpleNamespace(world_size=2, is_global_zero=rank == 0, strategy=strategy)
watch = FailureWatch(Path(sys.argv[2]) / "failures.csv", 100, 0.1, lambda line: None)
for step in range(9):
    class Batch(list):
        failures = [SimpleNamespace(path=f"v{step}", reason="broken")] if rank else []
        keys = SimpleNamespace(epoch=0)
    try:
        watch.on_train_batch_start(trainer, None, Batch([0, 0]), step)
    except TrainingError as error:
        print(step, len(watch.failed), watch.asked)
        break
recorder = Recorder(None, None)
recorder._since_checkpoint = Means({"loss": torch.tensor(float(rank + 1))}, 1)
print(recorder.take_mean("loss", trainer))
"""


def test_two_processes_stop_at_the_same_step_and_share_their_means(tmp_path):
    """Rank 1 alone meets broken videos."""
    (tmp_path / "two.py").write_text(TWO)
    command = [sys.executable, str(tmp_path / "two.py")]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=120)[0].split() for process in ranks]
    assert said[0] == said[1] == ["2", "3", "12", "1.5"]
    assert len((tmp_path / "failures.csv").read_text().splitlines()) == 4
