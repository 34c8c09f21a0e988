"""What only a GPU can show: the same numbers as on the CPU, half precision, resume, compilation. Run with `make gpu`.

`FIMA_GPU_DEVICE=cpu` rehearses the tests where there is no GPU; on a machine that should have one, a missing GPU fails.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from fima.checkpoints import load_backbone
from fima.methods import FIMA, MaCLR, MoCo
from fima.methods.losses import info_nce
from fima.models import create_backbone
from fima.seeding import SampleKeys
from fima.transforms.views import make_views

pytestmark = pytest.mark.gpu
DEVICE = os.environ.get("FIMA_GPU_DEVICE", "cuda")
BACKBONES = {"tiny": (16, 56), "i3d": (16, 112), "r3d_18": (16, 112), "r2plus1d_18": (16, 112), "slow_r50": (8, 112)}


@pytest.fixture(autouse=True)
def exact():
    """TF32 off: what is compared with the CPU is computed in float32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)


def random_windows(count=2, frames=32):
    shape = (2, frames, 96, 128, 3)
    return [
        torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(n)) for n in range(count)
    ]


def losses_of(method, device, dtype=torch.float32):
    method = method.to(device).train()
    windows = [window.to(device) for window in random_windows()]
    views = make_views(windows, SampleKeys(0, 0, np.arange(2)), size=56, num_slices=method.num_local_clips or 2)
    with torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32):
        return method(views)


def test_the_device_is_there():
    torch.zeros(1, device=DEVICE)


@pytest.mark.parametrize("arch", list(BACKBONES))
def test_a_backbone_gives_the_features_of_the_cpu(arch, rel_err):
    frames, size = BACKBONES[arch]
    backbone, clip = create_backbone(arch).eval(), torch.randn(1, 3, frames, size, size)
    with torch.no_grad():
        expected = backbone(clip)
        found = backbone.to(DEVICE)(clip.to(DEVICE)).cpu()
        half = backbone.bfloat16()(clip.to(DEVICE).bfloat16()).float().cpu()
    assert rel_err(found, expected) < 1e-4
    assert rel_err(half, expected) < 5e-2


def test_info_nce_and_its_gradient(rel_err):
    query, key, queue = (torch.nn.functional.normalize(torch.randn(n, 128), dim=1) for n in (32, 32, 4096))
    grads = []
    for device in ("cpu", DEVICE):
        moved = query.clone().to(device).requires_grad_()
        info_nce(moved, key.to(device), queue.to(device), temperature=0.1).mean().backward()
        grads.append(moved.grad.cpu())
    assert rel_err(grads[1], grads[0]) < 1e-4


@pytest.mark.parametrize("method_class", [MoCo, FIMA, MaCLR])
def test_a_step_gives_the_losses_of_the_cpu(method_class):
    def build():
        torch.manual_seed(0)
        extra = {"motion_arch": "tiny"} if method_class is MaCLR else {}
        method = method_class("tiny", queue_size=64, **extra)
        for module in method.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        return method

    expected, found = losses_of(build(), "cpu"), losses_of(build(), DEVICE)
    for name, loss in expected.items():
        assert float(found[name].detach()) == pytest.approx(float(loss.detach()), rel=2e-3), name
    half = losses_of(build(), DEVICE, torch.bfloat16)
    assert float(half["total"].detach()) == pytest.approx(float(expected["total"].detach()), rel=0.1)
    half["total"].backward()


@pytest.mark.parametrize("measure", ["cam", "affinity", "temporal"])
def test_a_study_gives_the_scores_of_the_cpu(measure, tmp_path):
    scores = {}
    for device in ("cpu", DEVICE):
        out = tmp_path / device
        argv = [measure, "--data", "shapes:camera,videos=6", "--split", "test", "--device", device, "--out", str(out)]
        subprocess.run([sys.executable, "-m", "analysis.cli", *argv], check=True, capture_output=True)
        scores[device] = json.loads((out / f"{measure}.json").read_text())["scores"]
    for name, score in scores["cpu"].items():
        assert scores[DEVICE][name]["mean"] == pytest.approx(score["mean"], abs=2e-3), name


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    def pretrain(out, steps, *more):
        flags = ["--recipe=fima-shapes", "--data=shapes:easy,videos=16,num_frames=40,size=64", f"--out={out}"]
        flags += ["--optimizer.batch_size=8", f"--trainer.max_steps={steps}", "--checkpoints.every_steps=2"]
        flags += [f"--trainer.accelerator={'cpu' if DEVICE == 'cpu' else 'gpu'}", "--log.every_steps=1"]
        subprocess.run([sys.executable, "-m", "fima.cli", "pretrain", *flags, *more], check=True, capture_output=True)
        return torch.load(out / "last.ckpt", weights_only=True, map_location="cpu")["state_dict"]

    whole = pretrain(tmp_path / "whole", 4)
    pretrain(tmp_path / "parts", 2)
    parts = pretrain(tmp_path / "parts", 4, "--resume=auto")
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_a_compiled_backbone_gives_the_same_features(rel_err):
    loaded = load_backbone("tiny-fima")
    clip = torch.randn(2, 3, 16, 56, 56, device=DEVICE)
    backbone = loaded.backbone.to(DEVICE).eval()
    with torch.no_grad():
        assert rel_err(torch.compile(backbone)(clip).cpu(), backbone(clip).cpu()) < 1e-3
