"""Two processes on one machine: what must be equal on both ranks, and whose keys go where."""

import os
import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.slow

PREAMBLE = """
import os, torch, torch.distributed as dist
from fima.methods.memory import FeatureQueue, gather_rows, shuffle_batch, unshuffle_batch
torch.set_num_threads(1)
rank = int(os.environ["RANK"])
dist.init_process_group("gloo", init_method="file://" + os.environ["MEETING"], rank=rank, world_size=2)
"""


@pytest.fixture
def on_two_ranks(tmp_path):
    """Runs a script on both ranks and returns what each saved as ``result``."""

    def run(script):
        meeting = tmp_path / "meeting"
        end = f"\ntorch.save(result, {str(tmp_path)!r} + f'/{{rank}}.pt')\ndist.destroy_process_group()"
        command = [sys.executable, "-c", PREAMBLE + script + end]
        environments = [os.environ | {"RANK": str(rank), "MEETING": str(meeting)} for rank in range(2)]
        processes = [subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) for env in environments]
        errors = [process.communicate(timeout=240)[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], errors
        return [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]

    return run


def test_queue_gathers_in_rank_order(on_two_ranks):
    script = """
queue = FeatureQueue(2, 7, seed=0)
for step in range(2):
    queue.enqueue(torch.arange(2.)[:, None].expand(-1, 2) + 10 * rank + 100 * step)
result = queue.state_dict()
"""
    first, second = on_two_ranks(script)
    assert first["rows"][:, 0].tolist() == [111, 1, 10, 11, 100, 101, 110]
    assert torch.equal(first["rows"], second["rows"])
    assert first["cursor"] == second["cursor"] == 1


def test_shuffling_deals_everything_out_and_back(on_two_ranks):
    script = """
torch.manual_seed(rank)
batch = torch.randn(4, 3, 2, 5, 5).contiguous(memory_format=torch.channels_last_3d)
everything = gather_rows(batch)
result = []
for _ in range(5):
    shuffled, order = shuffle_batch(batch)
    assert torch.equal(shuffled, everything[order.view(2, 4)[rank]])
    assert torch.equal(unshuffle_batch(shuffled, order), batch)
    result.append(order)
"""
    first, second = on_two_ranks(script)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), "both ranks use rank 0's order"
    assert all(sorted(order.tolist()) == list(range(8)) for order in first)
    assert len({tuple(order.tolist()) for order in first}) == 5
    assert any((order[:4] >= 4).any() for order in first), "samples do change ranks"


STEP = """
from torch.nn.parallel import DistributedDataParallel
from fima.methods import FIMA
from fima.transforms.views import Views
torch.manual_seed(0)
method = FIMA("tiny", queue_size=21, dim=8, hidden=16, width=16, feedforward=16, pixel_queue_size=301, momentum=0.9,
              instance_motion=True)
wrapped = DistributedDataParallel(method, broadcast_buffers=False)
optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.01, momentum=0.9)
torch.manual_seed(rank)
result = []
for _ in range(3):
    views = Views(torch.rand(2, 2, 3, 16, 32, 32), torch.rand(2, 2, 2, 3, 16, 32, 32), torch.rand(2, 2, 4))
    optimizer.zero_grad()
    wrapped(views)["total"].backward()
    optimizer.step()
    result.append({name: value.clone() for name, value in method.state_dict().items()})
"""


def test_parameters_and_queues_are_equal_after_every_step(on_two_ranks):
    first, second = on_two_ranks(STEP)
    for step, (ours, theirs) in enumerate(zip(first, second, strict=True)):
        own = {name for name in ours if not torch.equal(ours[name], theirs[name])}
        assert all("running_" in name for name in own), (step, own)
        assert any("running_" in name for name in own), "each rank has statistics of its own batches"
    assert first[0]["queue.cursor"] == 8
    assert not torch.equal(first[0]["encoder_k.stem.0.weight"], first[1]["encoder_k.stem.0.weight"])


def test_maclr_on_two_ranks(on_two_ranks):
    script = STEP.replace("import FIMA", "import MaCLR")
    start, end = script.index("method = FIMA("), script.index("wrapped =")
    settings = (
        'method = MaCLR("tiny", motion_arch="tiny", queue_size=21, dim=8, hidden=16, motion_input="frame_difference")'
    )
    script = script[:start] + settings + "\n" + script[end:].replace("torch.rand(2, 2, 2, 3,", "torch.rand(2, 1, 2, 3,")
    first, second = on_two_ranks(script)
    for ours, theirs in zip(first, second, strict=True):
        assert all("running_" in name for name in ours if not torch.equal(ours[name], theirs[name]))
    assert first[0]["queue.cursor"] == first[0]["motion_queue.cursor"] == 8


def test_rows_of_the_step_s_queues(on_two_ranks):
    """The RGB queue holds n's keys of rank 0 and 1, then m's; the motion queue all of rank 0's, then rank 1's."""
    script = (
        STEP.replace("result.append", "").replace("range(3)", "range(1)")
        + """
result = {"key": method.observed["key"], "rows": method.queue.rows, "motion": method.motion_queue.cursor}
"""
    )
    first, second = on_two_ranks(script)
    expected = torch.cat([result["key"][view] for view in (1, 0) for result in (first, second)])
    torch.testing.assert_close(first["rows"][:8], expected)
    assert first["motion"] == 16


MACLR_STEP = """
from torch.nn.parallel import DistributedDataParallel
from fima.methods import MaCLR
from fima.transforms.views import Views
torch.manual_seed(0)
method = MaCLR("tiny", motion_arch="tiny", queue_size=21, dim=8, hidden=16, momentum=0.9, motion_weight=0.5)
wrapped = DistributedDataParallel(method, broadcast_buffers=False)
optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.01, momentum=0.9)
torch.manual_seed(rank)
result = []
for _ in range(3):
    flow = torch.randn(2, 1, 2, 2, 16, 32, 32)
    clips = torch.rand(2, 2, 3, 8, 32, 32), torch.rand(2, 1, 2, 3, 16, 32, 32)
    optimizer.zero_grad()
    wrapped(Views(*clips, torch.rand(2, 2, 4), flow=flow))["total"].backward()
    optimizer.step()
    state = {name: value.clone() for name, value in method.state_dict().items()}
    result.append(state | {"key": method.observed["key"].clone()})
"""


def test_maclr_is_equal_on_both_ranks_after_every_step(on_two_ranks):
    first, second = on_two_ranks(MACLR_STEP)
    for step, (ours, theirs) in enumerate(zip(first, second, strict=True)):
        own = {name for name in ours if not torch.equal(ours[name], theirs[name])}
        assert all("running_" in name or name == "key" for name in own), (step, own)
    assert first[0]["queue.cursor"] == first[0]["motion_queue.cursor"] == 8
    expected = torch.cat([result[0]["key"][view] for view in (1, 0) for result in (first, second)])
    torch.testing.assert_close(first[0]["queue.rows"][:8], expected)
    for name in ("encoder_k.stem.0.weight", "motion_encoder_k.stem.0.weight"):
        assert not torch.equal(first[0][name], first[1][name])
