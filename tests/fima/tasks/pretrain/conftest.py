"""A small data set of moving shapes, and a run that takes seconds."""

import pytest
import torch

from benchmarks.star import moving_shape
from fima.cli import main
from fima.data.transcode.encode import write_video


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """Nine videos of 40 frames, 64 pixels."""
    folder = tmp_path_factory.mktemp("shapes")
    for number in range(9):
        frames = moving_shape(number, num_frames=40, height=64, width=64).frames
        write_video(folder / f"v{number}.mp4", frames.transpose(0, 2, 3, 1), fps=25)
    return folder


SMALL = [
    "--recipe=fima-small",
    "--windows.short_side=null",
    "--windows.num_frames=16",
    "--views.size=32",
    "--method.queue_size=16",
    "--method.hidden=32",
    "--method.width=16",
    "--method.feedforward=16",
    "--method.dim=16",
    "--optimizer.batch_size=4",
    "--optimizer.epochs=3",
    "--optimizer.lr=0.03",
    "--loader.workers=0",
    "--checkpoints.every_epochs=1",
    "--log.every_steps=1",
    "--log.tensorboard=false",
    "--log.progress=lines",
]


@pytest.fixture(scope="session")
def small_flags():
    return SMALL


@pytest.fixture
def run(shapes):
    """Type a small run; flags are added at the end, so they win."""

    def run(out, *flags, data=None):
        threads = torch.get_num_threads()
        try:
            return main(["pretrain", *SMALL, "--data", str(data or shapes), "--out", str(out), *map(str, flags)])
        finally:
            torch.set_num_threads(threads)

    return run


def leaves(tree, prefix=""):
    """Every value of nested mappings and lists, by path."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from leaves(value, f"{prefix}/{name}")
    elif isinstance(tree, list | tuple):
        for number, value in enumerate(tree):
            yield from leaves(value, f"{prefix}/{number}")
    else:
        yield prefix, tree


@pytest.fixture
def differences():
    """Paths of two checkpoints at which their values differ in any bit; the folder is another by intent."""

    def differences(left, right):
        a, b = (dict(leaves(torch.load(path, weights_only=True))) for path in (left, right))
        free = {"/config/out", "/config/resume", "/config/trainer/max_steps", "/config/loader/workers"}
        # Lightning's count of its own epochs, of which a run of ours is one, continued or not.
        free |= {
            n for n in a.keys() | b.keys() if n.startswith(("/config/checkpoints", "/loops/fit_loop/epoch_progress"))
        }
        same = {
            name
            for name in a.keys() & b.keys()
            if (torch.equal(a[name], b[name]) if isinstance(a[name], torch.Tensor) else a[name] == b[name])
        }
        return sorted((a.keys() | b.keys()) - same - free)

    return differences
