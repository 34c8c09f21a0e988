import pytest
import torch
from torch import nn

from fima.errors import InputError
from fima.methods import MoCo
from fima.models import create_backbone
from fima.transforms.normalize import normalize
from fima.transforms.views import Views

pytestmark = pytest.mark.usefixtures("one_thread")


def make_views(n=3, seed=0, size=32):
    generator = torch.Generator().manual_seed(seed)
    clips = torch.rand(2, n, 3, 16, size, size, generator=generator)
    local = torch.rand(2, 2, n, 3, 16, size, size, generator=generator)
    return Views(clips, local, torch.tensor([0.1, 0.1, 0.9, 0.9]).repeat(2, n, 1))


@pytest.fixture
def make():
    def build(**settings):
        torch.manual_seed(0)
        return MoCo("tiny", **({"queue_size": 10, "dim": 8, "hidden": 16} | settings))

    return build


def swapped(views):
    return Views(views.global_clips.flip(0), views.local_clips.flip(0), views.boxes.flip(0))


class TestStep:
    def test_names_of_losses(self, make):
        method, views = make(), make_views()
        losses = method(views)
        assert list(losses) == ["instance", "total"]
        assert torch.equal(losses["instance"], losses["total"])
        assert list(make(instance_motion=True)(views)) == ["instance", "instance_motion", "total"]

    def test_accuracies_and_observed(self, make):
        method = make(instance_motion=True)
        method(make_views())
        assert list(method.accuracies) == ["instance", "instance_motion"]
        assert all(0 <= accuracy <= 1 for accuracy in method.accuracies.values())
        for name in ("query", "key"):
            torch.testing.assert_close(method.observed[name].norm(dim=-1), torch.ones(2, 3))
            assert not method.observed[name].requires_grad

    def test_keys_enter_the_queue_n_first(self, make):
        method = make()
        method(make_views())
        assert torch.equal(method.queue.rows[:6], method.observed["key"].flip(0).flatten(0, 1))
        assert method.queue.cursor == 6

    def test_key_networks_move_before_the_keys_are_made(self, make):
        """With momentum 0 the key networks are the query's by the time they see the clips."""
        method = make(momentum=0.0).eval()
        nn.init.normal_(method.projector_dense.net[2].weight)
        method(make_views())
        torch.testing.assert_close(method.observed["key"], method.observed["query"])

    def test_momentum_moves_parameters_and_not_statistics(self, make):
        method = make(momentum=0.75)
        with torch.no_grad():
            for parameter in (*method.encoder_q.parameters(), *method.projector_dense.parameters()):
                parameter.add_(1)
        before = {name: value.clone() for name, value in method.state_dict().items()}
        method(make_views())
        after = dict(method.named_parameters())
        for name, value in before.items():
            if name in after and name.startswith(("encoder_k.", "projector_dense_k.")):
                query = before[name.replace("encoder_k.", "encoder_q.").replace("_dense_k.", "_dense.")]
                torch.testing.assert_close(after[name].detach(), 0.75 * value + 0.25 * query)
        statistics = [method.encoder_q.stem[1].running_mean, method.encoder_k.stem[1].running_mean]
        assert not torch.equal(*statistics), "each has its own: the key network has other weights"

    def test_each_pass_has_its_own_batch(self, make):
        """Two key passes (m and n), and with L_VD four, as the reference has them."""
        for settings, passes in (({}, 2), ({"instance_motion": True}, 4)):
            method = make(**settings)
            method(make_views())
            assert method.encoder_k.stem[1].num_batches_tracked == passes
            assert method.encoder_q.stem[1].num_batches_tracked == 2

    def test_looking_changes_nothing(self, make):
        method = make(instance_motion=True).eval()
        before = {name: value.clone() for name, value in method.state_dict().items()}
        method(make_views(), update=False)
        assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())

    def test_exchanging_the_views_changes_the_instance_loss(self, make):
        """The queue takes n's keys between the two directions, so only one direction meets the other's keys; without
        that update the loss is symmetric."""
        views = make_views()
        first, second = make().eval(), make().eval()
        losses = first(views, augment=False), second(swapped(views), augment=False)
        assert (losses[0]["instance"] - losses[1]["instance"]).abs() > 1e-3
        looked = [
            make().eval()(some, augment=False, update=False)["instance"].detach() for some in (views, swapped(views))
        ]
        torch.testing.assert_close(*looked)

    def test_gradients_reach_query_networks_alone(self, make):
        method = make(instance_motion=True)
        method(make_views())["total"].backward()
        for name, parameter in method.named_parameters():
            frozen = name.startswith(("encoder_k.", "projector_dense_k."))
            assert parameter.requires_grad != frozen, name
            assert (parameter.grad is None) == frozen, name

    def test_instance_motion_leaves_the_instance_loss_alone(self, make):
        views = make_views()
        plain, more = (make(instance_motion=flag).eval()(views, augment=False) for flag in (False, True))
        torch.testing.assert_close(plain["instance"], more["instance"])
        torch.testing.assert_close(more["total"], more["instance"] + more["instance_motion"])

    def test_queries_see_the_same_colors_as_keys(self, make):
        """A view's clip is augmented once: with equal networks query and key of one view are the same."""
        method = make(momentum=0.0).eval()
        method(make_views())
        torch.testing.assert_close(method.observed["query"], method.observed["key"])

    def test_colors_differ_from_call_to_call_but_for_their_keys(self, make):
        method, views = make().eval(), make_views()
        first, second = (method(views, update=False)["total"] for _ in range(2))
        assert first != second
        plain = [method(views, update=False, augment=False)["total"] for _ in range(2)]
        assert plain[0] == plain[1]

    def test_without_augmentation_clips_are_normalized(self, make):
        method, views = make(), make_views()
        seen = []
        method.encoder_q.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        method(views, augment=False)
        for view in range(2):
            torch.testing.assert_close(seen[view], normalize(views.global_clips[view], method.input_spec))
            assert seen[view].is_contiguous(memory_format=torch.channels_last_3d)

    def test_a_small_step_down_the_gradient_lowers_the_loss(self, make):
        method, views = make(instance_motion=True).eval(), make_views()
        before = method(views, augment=False, update=False)["total"]
        before.backward()
        with torch.no_grad():
            for parameter in method.parameters():
                parameter.sub_(1e-3 * parameter.grad if parameter.requires_grad else 0)
        assert method(views, augment=False, update=False)["total"] < before


class TestSettings:
    def test_takes_a_module(self, make):
        backbone = create_backbone("tiny")
        method = MoCo(backbone, queue_size=10, dim=8, hidden=16)
        assert method.encoder_q is backbone
        assert method.settings["arch"] is None
        assert method(make_views())["total"].isfinite()

    def test_layout_is_a_setting(self, make):
        plain, last = (make(channels_last=flag).eval() for flag in (False, True))
        assert last.encoder_q.stem[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
        assert plain.encoder_q.stem[0].weight.is_contiguous()
        losses = [method(make_views(), augment=False)["total"].detach() for method in (plain, last)]
        torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"momentum": 1.1}, "momentum"),
            ({"temperature": 0}, "temperature"),
            ({"queue_size": 0}, "queue_size"),
            ({"backbone_settings": {"depth": 3}}, "depth"),
        ],
        ids=["momentum", "temperature", "queue", "backbone"],
    )
    def test_refuses(self, make, settings, message):
        with pytest.raises(InputError, match=message):
            make(**settings)

    def test_settings_belong_to_a_name(self):
        with pytest.raises(InputError, match="not to a module"):
            MoCo(create_backbone("tiny"), backbone_settings={"a": 1})
