"""A whole FIMA step from a reference-format file equals the reference's."""

import torch
from torch.nn.functional import normalize

from fima.methods.loading import load_method
from fima.transforms.views import Views


def _drift(i, n=2, t=16, h=112, w=112):
    a = torch.arange(n, dtype=torch.float64).view(n, 1, 1, 1, 1)
    c = torch.arange(3, dtype=torch.float64).view(1, 3, 1, 1, 1)
    tt = torch.arange(t, dtype=torch.float64).view(1, 1, t, 1, 1)
    y = torch.arange(h, dtype=torch.float64).view(1, 1, 1, h, 1) / h
    x = torch.arange(w, dtype=torch.float64).view(1, 1, 1, 1, w) / w
    background = torch.sin(9 * x + 7 * y * (1 + 0.3 * a) + c + 0.5 * i)
    cx = 0.5 + 0.25 * torch.sin(0.4 * tt + a + 0.3 * i)
    cy = 0.5 + 0.25 * torch.cos(0.3 * tt + 0.7 * a + 0.2 * i)
    blob = torch.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / 0.02))
    return (0.5 + 0.3 * background * (1 - blob) + 0.45 * blob * torch.cos(c + a)).clamp(0, 1).float()


def test_whole_step(golden, rel_err, tmp_path):
    state = golden.state("fima_i3d")
    for name in ("queue", "motion_queue"):
        state[name] = normalize(state[name], dim=0)
    path = tmp_path / "checkpoint.pth.tar"
    torch.save({"epoch": 1, "arch": "i3d", "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    method = load_method(path)
    method = getattr(method, "method", method).train()
    for module in method.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    clips = [_drift(i) for i in range(6)]
    boxes = torch.tensor([[[0.1, 0.05, 0.7, 0.9], [0.9, 0.2, 0.3, 0.8]], [[0.2, 0.1, 0.9, 0.8], [0.2, 0.1, 0.8, 0.9]]])
    local = torch.stack([torch.stack(clips[1:3]), torch.stack(clips[4:6])])
    losses = method.losses(Views(torch.stack([clips[0], clips[3]]), local, boxes), augment=False)
    ours = torch.stack([losses[name] for name in ("instance", "pixel", "frame", "total")]).detach()
    assert rel_err(ours, golden.arrays["step_losses"]) < 1e-4
    for name, queue in (("step_queue_head", method.queue), ("step_motion_queue_head", method.motion_queue)):
        head = golden.tensor(name)  # (128, columns), as the reference lays its queues out
        assert rel_err(queue.rows[: head.shape[1]].T, head) < 1e-4
