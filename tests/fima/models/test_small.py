import torch

from fima.models import create_backbone
from fima.models.registry import backbone_info


def test_its_grid_is_finer_than_tinys_and_every_tap_is_as_it_says():
    backbone = create_backbone("small").eval()
    info = backbone_info(backbone)
    clip = torch.rand(1, 3, info.input.num_frames, info.input.size, info.input.size)
    seen = {}
    for tap in info.taps:
        backbone.get_submodule(tap.layer).register_forward_hook(
            lambda _module, _inputs, output, name=tap.layer: seen.update({name: output.shape})
        )
    assert backbone(clip).shape == (1, 128, 4, 14, 14)
    for tap in info.taps:
        grid = (16 // tap.temporal_stride, *(112 // tap.spatial_stride,) * 2)
        assert seen[tap.layer] == (1, tap.channels, *grid)
    assert sum(p.numel() for p in backbone.parameters()) < 2_000_000


def test_it_sees_far_around_a_place_and_takes_any_size():
    """A change in one corner reaches features 40 pixels away: context tells a moving object from a moving camera."""
    torch.manual_seed(0)
    backbone = create_backbone("small").eval()
    clip = torch.zeros(1, 3, 8, 96, 136)
    changed = clip.clone()
    changed[..., :8, :8] = 1
    with torch.no_grad():
        difference = (backbone(changed) - backbone(clip)).abs().amax(dim=(0, 1, 2))
    assert difference.shape == (12, 17)
    assert difference[5, 0] > 0
    assert difference[0, 5] > 0
