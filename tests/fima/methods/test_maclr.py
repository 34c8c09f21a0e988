"""MaCLR against plain loops, on the tiny backbone; and the light motion pathway it has by default."""

import math

import pytest
import torch
import torch.nn.functional as F

from fima.checkpoints import load_backbone
from fima.errors import InputError
from fima.methods import MaCLR, load_method, save_method
from fima.transforms.motion import flow_edges, optical_flow
from fima.transforms.normalize import normalize
from fima.transforms.views import Views

NAMES = ["visual", "visual_motion", "motion_visual"]


pytestmark = pytest.mark.usefixtures("one_thread")


def make_views(n=3, seed=0, size=32, flow=False):
    generator = torch.Generator().manual_seed(seed)
    clips = torch.rand(2, n, 3, 8, size, size, generator=generator)
    # Smooth clips, so that flow is about something.
    local = F.avg_pool3d(torch.rand(2 * n, 3, 16, size, size, generator=generator), 5, 1, 2).view(
        2, 1, n, 3, 16, size, size
    )
    field = torch.randn(2, 1, n, 2, 16, size, size, generator=generator) if flow else None
    return Views(clips, local, torch.tensor([0.1, 0.1, 0.9, 0.9]).repeat(2, n, 1), flow=field)


@pytest.fixture
def make():
    def build(**settings):
        torch.manual_seed(0)
        return MaCLR("tiny", **({"motion_arch": "tiny", "queue_size": 10, "dim": 8, "hidden": 16} | settings))

    return build


def loss_of(query, key, negatives, temperature=0.1):
    """InfoNCE in plain loops."""
    total = 0.0
    for q, k in zip(query, key, strict=True):
        logits = [float(q @ k) / temperature] + [float(q @ n) / temperature for n in negatives]
        total += -(logits[0] - math.log(sum(math.exp(x) for x in logits)))
    return total / len(query)


def embed(clips, encoder, projector):
    rows = [F.normalize(projector.project(encoder(clip).mean(dim=(2, 3, 4))), dim=1) for clip in clips]
    return torch.stack(rows).detach()


def test_losses_equal_plain_loops(make):
    method, views = make(momentum=0.5, motion_weight=0.5).eval(), make_views()
    with torch.no_grad():  # query and key networks that differ
        for parameter in (*method.encoder_q.parameters(), *method.motion_encoder_q.parameters()):
            parameter.mul_(1.1)
    rgb_queue, motion_queue = method.queue.rows.clone(), method.motion_queue.rows.clone()
    losses = method.losses(views, augment=False)
    rgb = [normalize(clip, method.input_spec) for clip in views.global_clips]
    motion = [flow_edges(optical_flow(clip[0])) for clip in views.local_clips]
    v, vk = embed(rgb, method.encoder_q, method.projector), embed(rgb, method.encoder_k, method.projector_k)
    m = embed(motion, method.motion_encoder_q, method.motion_projector)
    mk = embed(motion, method.motion_encoder_k, method.motion_projector_k)
    after_n = torch.cat([vk[1], rgb_queue[3:]])  # three rows were overwritten by n's keys
    expected = {
        "visual": (loss_of(v[0], vk[1], rgb_queue) + loss_of(v[1], vk[0], after_n)) / 2,
        "visual_motion": sum(loss_of(v[i], mk[i], motion_queue) for i in range(2)) / 2,
        "motion_visual": sum(loss_of(m[i], vk[i], rgb_queue) for i in range(2)) / 2,
        "motion": sum(loss_of(m[i], mk[1 - i], motion_queue) for i in range(2)) / 2,
    }
    for name, value in expected.items():
        assert float(losses[name]) == pytest.approx(value, abs=1e-5), name
    total = expected["visual"] + expected["visual_motion"] + expected["motion_visual"] + 0.5 * expected["motion"]
    assert float(losses["total"]) == pytest.approx(total, abs=1e-5)


def test_queues_take_n_then_m(make):
    method, views = make().eval(), make_views()
    method.losses(views, augment=False)
    motion = [flow_edges(optical_flow(clip[0])) for clip in views.local_clips]
    keys = embed(motion, method.motion_encoder_k, method.motion_projector_k)
    assert torch.equal(method.queue.rows[:6], method.observed["key"].flip(0).flatten(0, 1))
    torch.testing.assert_close(method.motion_queue.rows[:6], keys.flip(0).flatten(0, 1))
    assert int(method.queue.cursor) == int(method.motion_queue.cursor) == 6


def test_a_look_changes_nothing(make):
    method = make().eval()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.losses(make_views(), augment=False, update=False)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_names_and_accuracies(make):
    method = make()
    losses = method(make_views())
    assert list(losses) == [*NAMES, "total"]
    assert list(method.accuracies) == NAMES
    assert all(0 <= accuracy <= 1 for accuracy in method.accuracies.values())
    assert float(losses["total"]) == pytest.approx(sum(float(losses[name]) for name in NAMES), rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"cross_weight": 0}, ["visual"]),
        ({"visual_weight": 0}, ["visual_motion", "motion_visual"]),
        ({"motion_weight": 1}, [*NAMES, "motion"]),
    ],
)
def test_a_weight_of_zero_leaves_a_term_out_and_no_parameter_without_gradient(make, settings, names):
    method = make(**settings)
    losses = method(make_views())
    assert list(losses) == [*names, "total"]
    losses["total"].backward()
    for name, parameter in method.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert not (parameter.requires_grad and ("encoder_k" in name or "projector_k" in name)), name
    assert int(method.queue.cursor) == 6


def test_gradients_reach_both_pathways(make):
    method = make()
    method(make_views())["total"].backward()
    for part in (method.encoder_q, method.projector, method.motion_encoder_q, method.motion_projector):
        assert all(float(parameter.grad.abs().sum()) > 0 for parameter in part.parameters())


def test_key_networks_move_before_the_keys(make):
    method = make(momentum=0.0).eval()
    with torch.no_grad():
        for parameter in method.encoder_q.parameters():
            parameter.mul_(1.3)
    method.losses(make_views(), augment=False)
    torch.testing.assert_close(method.observed["key"], method.observed["query"])
    for name, parameter in method.motion_encoder_q.named_parameters():
        assert torch.equal(parameter, method.motion_encoder_k.state_dict()[name])


class TestMotionInput:
    def test_choices(self, make):
        views = make_views()
        clip = views.local_clips[1, 0]
        flow = optical_flow(clip)
        expected = {
            "flow_edges": flow_edges(flow),
            "frame_difference": torch.cat([clip[:, :, 1:2] - clip[:, :, :1], clip[:, :, 1:] - clip[:, :, :-1]], dim=2),
            "flow": torch.cat([flow, flow.norm(dim=1, keepdim=True)], dim=1),
        }
        for name, motion in expected.items():
            torch.testing.assert_close(make(motion_input=name).prepare_motion(views, 1), motion)

    def test_flow_that_the_views_bring_is_used(self, make):
        views = make_views(flow=True)
        torch.testing.assert_close(make().prepare_motion(views, 0), flow_edges(views.flow[0, 0]))
        torch.testing.assert_close(make(motion_input="flow").prepare_motion(views, 1)[:, :2], views.flow[1, 0])

    def test_brought_flow_that_is_the_computed_one_gives_the_same_losses(self, make):
        views = make_views()
        flow = torch.stack([optical_flow(clip[0])[None] for clip in views.local_clips])
        brought = Views(views.global_clips, views.local_clips, views.boxes, flow=flow)
        ours, theirs = (make().eval().losses(v, augment=False) for v in (views, brought))
        assert {k: float(v) for k, v in ours.items()} == {k: float(v) for k, v in theirs.items()}

    def test_a_pan_is_nearly_still_and_an_object_is_not(self, make):
        """A texture moved as a whole, and a square moved over it; edges well inside the frame."""
        generator = torch.Generator().manual_seed(0)
        texture = F.avg_pool2d(torch.rand(1, 3, 96, 140, generator=generator), 5, 1, 2)[0]
        texture = (texture - texture.min()) / (texture.max() - texture.min())
        pan = torch.stack([texture[:, :, 2 * t : 2 * t + 96] for t in range(16)], dim=1)
        still = texture[:, None, :, :96].expand(-1, 16, -1, -1).clone()
        for t in range(16):
            still[:, t, 30:60, 20 + 2 * t : 50 + 2 * t] = texture[:, 40:70, 100:130]
        clips = torch.stack([pan, still])[None].expand(2, -1, -1, -1, -1, -1)
        views = Views(clips[:, :, :, ::2], clips[:, None], torch.tensor([0.0, 0, 1, 1]).repeat(2, 2, 1))
        edges = make().prepare_motion(views, 0)[:, 2, :15, 12:-12, 12:-40]
        assert edges[0].mean() < 0.1 * edges[1].mean()


def test_colors_change_rgb_alone(make):
    """The motion pathway sees no color augmentation: flow would not, and its normalization is fixed."""
    from fima.seeding import SampleKeys

    views = make_views()
    keyed = Views(views.global_clips, views.local_clips, views.boxes, SampleKeys(0, 0, range(3)))
    with_colors, without = make().eval(), make().eval()
    with_colors.losses(keyed)
    without.losses(keyed, augment=False)
    assert not torch.equal(with_colors.observed["key"], without.observed["key"])
    assert torch.equal(with_colors.motion_queue.rows, without.motion_queue.rows)


def test_out_and_in_again(make, tmp_path):
    method = make(motion_weight=0.25)
    method(make_views())
    again = load_method(save_method(tmp_path / "maclr.pt", method))
    assert isinstance(again, MaCLR)
    assert again.settings == method.settings
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in method.state_dict().items())
    loaded = load_backbone(tmp_path / "maclr.pt")
    assert (loaded.arch, loaded.report.complete) == ("tiny", True)
    for name, value in loaded.backbone.state_dict().items():
        assert torch.equal(value, method.encoder_q.state_dict()[name])


def test_the_default_pathways_are_the_release_s():
    method = MaCLR(queue_size=4, hidden=8, dim=4)
    light = method.motion_encoder_q
    assert method.encoder_q.channels == 2048
    assert light.channels == 1024  # half the width
    kernels = [light.s1.pathway0_stem.conv.kernel_size[0]]
    kernels += [getattr(light, f"s{i}").pathway0_res0.branch2.a.kernel_size[0] for i in range(2, 6)]
    assert kernels == [5, 3, 3, 3, 3]
    assert (method.input_spec.mean, method.input_spec.std) == ((0.45,) * 3, (0.225,) * 3)
    defaults = MaCLR.__init__.__kwdefaults__
    assert (defaults["temperature"], defaults["momentum"], defaults["queue_size"]) == (0.1, 0.999, 65536)
    assert (defaults["hidden"], defaults["dim"]) == (2048, 128)
    assert (defaults["cross_weight"], defaults["motion_weight"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"motion_input": "edges"}, "motion_input must be one of flow_edges"),
        ({"flow_preset": "slow"}, "flow_preset must be one of"),
        ({"cross_weight": -1}, "cross_weight must be at least 0"),
        ({"cross_weight": 0, "visual_weight": 0}, "both 0"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"motion_arch": "tinny"}, "tinny"),
    ],
)
def test_settings_are_checked(make, settings, said):
    with pytest.raises(InputError, match=said):
        make(**settings)


def test_views_are_checked(make):
    views = make_views()
    two = Views(views.global_clips, views.local_clips.expand(-1, 2, -1, -1, -1, -1, -1), views.boxes)
    with pytest.raises(InputError, match="one for the whole window"):
        make()(two)
