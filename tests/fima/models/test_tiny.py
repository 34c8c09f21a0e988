import torch

from fima.models import create_backbone


def test_small_and_on_i3d_s_grid():
    backbone = create_backbone("tiny").eval()
    with torch.no_grad():
        feature_map = backbone(torch.randn(2, 3, 16, 56, 56))
    assert feature_map.shape == (2, 128, 2, 7, 7)
    assert 300_000 < sum(parameter.numel() for parameter in backbone.parameters()) < 450_000
    assert feature_map.min() >= 0
    assert feature_map.max() > 0


def test_sees_motion_from_the_first_layer():
    """A frame that moves changes features of its own slice; a far one does not reach it."""
    backbone = create_backbone("tiny").eval()
    clip = torch.rand(1, 3, 16, 56, 56)
    swapped = clip.clone()
    swapped[:, :, [2, 3]] = clip[:, :, [3, 2]]
    with torch.no_grad():
        assert not torch.allclose(backbone(clip)[:, :, 0], backbone(swapped)[:, :, 0])


def test_learns_to_tell_directions_of_motion():
    """The smallest thing it is for: after a few steps it separates a bar that moves left from one that moves right."""
    torch.manual_seed(0)
    backbone = create_backbone("tiny")
    head = torch.nn.Linear(128, 2)
    optimizer = torch.optim.Adam([*backbone.parameters(), *head.parameters()], lr=3e-3)

    def batch(n=16):
        labels = torch.arange(n) % 2
        start = torch.randint(0, 28, (n,))
        clips = torch.zeros(n, 3, 16, 28, 28)
        for i in range(n):
            for t in range(16):
                x = (start[i] + (t if labels[i] else -t)) % 28
                clips[i, :, t, :, x] = 1
        return clips, labels

    for _ in range(15):
        clips, labels = batch()
        loss = torch.nn.functional.cross_entropy(head(backbone(clips).mean((2, 3, 4))), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    backbone.eval()
    clips, labels = batch(32)
    with torch.no_grad():
        accuracy = (head(backbone(clips).mean((2, 3, 4))).argmax(1) == labels).float().mean()
    assert accuracy > 0.9
