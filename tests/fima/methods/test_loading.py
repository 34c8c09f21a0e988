import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fima.checkpoints import load_backbone
from fima.errors import CheckpointError, InputError
from fima.methods import FIMA, MoCo, export_method, load_method, save_method
from fima.models import create_backbone
from fima.transforms.views import Views

SMALL = {"queue_size": 20, "dim": 8, "hidden": 16}
SMALL_FIMA = SMALL | {"width": 16, "feedforward": 12, "layers": 3}


def drift(i, n=2, t=16, h=112, w=112):
    """The golden step's clips: a bright blob that drifts over waves."""
    video = torch.arange(n, dtype=torch.float64).view(n, 1, 1, 1, 1)
    channel = torch.arange(3, dtype=torch.float64).view(1, 3, 1, 1, 1)
    time = torch.arange(t, dtype=torch.float64).view(1, 1, t, 1, 1)
    y = torch.arange(h, dtype=torch.float64).view(1, 1, 1, h, 1) / h
    x = torch.arange(w, dtype=torch.float64).view(1, 1, 1, 1, w) / w
    background = torch.sin(9 * x + 7 * y * (1 + 0.3 * video) + channel + 0.5 * i)
    center_x = 0.5 + 0.25 * torch.sin(0.4 * time + video + 0.3 * i)
    center_y = 0.5 + 0.25 * torch.cos(0.3 * time + 0.7 * video + 0.2 * i)
    blob = torch.exp(-(((x - center_x) ** 2 + (y - center_y) ** 2) / 0.02))
    return (0.5 + 0.3 * background * (1 - blob) + 0.45 * blob * torch.cos(channel + video)).clamp(0, 1).float()


def golden_views():
    m, m0, m1, n, n0, n1 = map(drift, range(6))
    boxes = [[[0.1, 0.05, 0.7, 0.9], [0.9, 0.2, 0.3, 0.8]], [[0.2, 0.1, 0.9, 0.8], [0.2, 0.1, 0.8, 0.9]]]
    local = torch.stack([torch.stack([m0, m1]), torch.stack([n0, n1])])
    return Views(torch.stack([m, n]), local, torch.tensor(boxes))


@pytest.fixture(scope="module")
def reference(golden):
    """A whole reference checkpoint's state dict, without its prefix."""
    state = golden.state("fima_i3d")
    return state | {name: F.normalize(state[name], dim=0) for name in ("queue", "motion_queue")}


@pytest.fixture(scope="module")
def reference_file(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("reference") / "checkpoint_0007.pth.tar"
    state = {f"module.{name}": value for name, value in reference.items()}
    torch.save({"epoch": 7, "arch": "i3d", "state_dict": state, "optimizer": {}}, path)
    return path


@pytest.fixture(scope="module")
def restored(reference_file):
    return load_method(reference_file, dropout=0.0)


class TestReference:
    def test_every_entry_finds_its_place(self, restored, golden):
        assert isinstance(restored, FIMA)
        assert len(restored.report.loaded) == len(golden.names["fima_i3d"]) == len(restored.state_dict())
        assert not restored.report.ignored
        assert restored.settings["queue_size"] == restored.settings["motion_queue_size"] == 2240
        assert restored.settings["pixel_queue_size"] == 0
        assert restored.training

    def test_values(self, restored, reference):
        assert torch.equal(restored.queue.rows, reference["queue"].t())
        assert torch.equal(restored.motion_queue.rows, reference["motion_queue"].t())
        assert torch.equal(restored.decoder.cls_token, reference["cls_token"])
        for name in ("encoder_q", "encoder_k", "projector_dense", "projector_dense_k"):
            for key, value in restored.get_submodule(name).state_dict().items():
                assert torch.equal(value, reference[f"{name}.{key}"]), key

    def test_exported_it_is_the_same_file(self, restored, reference, tmp_path):
        path = export_method(tmp_path / "out.pth.tar", restored, epoch=7)
        content = torch.load(path, weights_only=True)
        assert content["epoch"] == 7
        assert content["arch"] == "i3d"
        assert content["state_dict"].keys() == {f"module.{name}" for name in reference}
        for name, value in reference.items():
            assert torch.equal(content["state_dict"][f"module.{name}"], value), name

    def test_whole_step(self, restored, golden, rel_err):
        """Losses, masks and queues of the published step; the network amplifies rounding by 1e4, so the tolerance
        holds only with the reference's arithmetic: its layout, and its products in the momentum update."""
        method = copy.deepcopy(restored)
        losses = method.losses(golden_views(), augment=False)
        ours = torch.stack(list(losses.values())).detach()
        assert ((ours / golden.tensor("step_losses") - 1).abs() <= 1e-4).all()
        for view, name in enumerate("mn"):
            assert torch.equal(method.observed["mask"][view], golden.tensor(f"step_mask_{name}").bool())
        assert rel_err(method.queue.rows[:4].t(), golden.tensor("step_queue_head")) <= 1e-4
        assert rel_err(method.motion_queue.rows[:8].t(), golden.tensor("step_motion_queue_head")) <= 1e-4
        assert method.queue.cursor == 4
        assert method.motion_queue.cursor == 8

    def test_left_out_entry(self, reference, tmp_path):
        path = tmp_path / "part.pth.tar"
        state = {f"module.{name}": value for name, value in reference.items() if name != "embedding1.bias"}
        torch.save({"state_dict": state}, path)
        with pytest.raises(CheckpointError, match=r"part.pth.tar: does not fill FIMA: 1 of 725 .* decoder.embedding1"):
            load_method(path)


@pytest.fixture
def small():
    torch.manual_seed(0)
    return FIMA("tiny", **SMALL_FIMA, pixel_queue_size=30, dropout=0.0)


def edited(method, path, edit):
    """An exported file, changed, without what only our files have beside the state dict."""
    content = torch.load(export_method(path, method), weights_only=True)
    del content["settings"], content["method"]
    edit(content["state_dict"])
    torch.save(content, path)
    return path


class TestForeign:
    def test_sizes_come_from_shapes(self, small, tmp_path):
        """A file such as Kinetics ones, with a queue of pixels, and nothing beside its state dict."""
        path = edited(small, tmp_path / "k400.pth.tar", lambda state: None)
        names = torch.load(path, weights_only=True)["state_dict"]
        assert names["module.queue_dense"].shape == (8, 30)
        assert names["module.queue_dense_ptr"].shape == (1,)
        method = load_method(path)
        differing = {key for key, value in small.settings.items() if method.settings[key] != value}
        assert differing == {"dropout", "channels_last"}
        assert all(torch.equal(value, small.state_dict()[name]) for name, value in method.state_dict().items())

    def test_without_decoder_or_motion_it_is_moco(self, tmp_path):
        path = edited(MoCo("tiny", **SMALL), tmp_path / "moco.pth.tar", lambda state: None)
        method = load_method(path)
        assert type(method) is MoCo
        assert method.settings["queue_size"] == 20

    def test_stray_entry(self, small, tmp_path):
        path = edited(small, tmp_path / "x.pth", lambda state: state.update({"module.fc.weight": torch.zeros(2, 2)}))
        with pytest.raises(CheckpointError, match=r"without a place in it: module.fc.weight"):
            load_method(path)

    def test_entry_that_is_not_finite(self, small, tmp_path):
        path = edited(small, tmp_path / "x.pth", lambda state: state["module.queue"].fill_(float("nan")))
        with pytest.raises(CheckpointError, match=r"not finite: queue.rows"):
            load_method(path)

    def test_old_files_without_counters(self, small, tmp_path):
        def drop(state):
            for name in [name for name in state if name.endswith("num_batches_tracked")]:
                del state[name]

        assert load_method(edited(small, tmp_path / "x.pth", drop)).report.tolerated

    def test_a_backbone_is_no_method(self, tmp_path):
        path = tmp_path / "backbone.pth"
        torch.save(create_backbone("tiny").state_dict(), path)
        with pytest.raises(CheckpointError, match="holds no method"):
            load_method(path)


METHODS = {
    "fima": lambda: FIMA("tiny", **SMALL_FIMA, pixel_queue_size=30),
    "fima-parts": lambda: FIMA("tiny", **SMALL_FIMA, decoder=False, frame=False),
    "moco": lambda: MoCo("tiny", **SMALL),
    "moco+vd": lambda: MoCo("tiny", **SMALL, instance_motion=True, momentum=0.9),
}


@pytest.mark.parametrize("write", [save_method, export_method], ids=["own", "reference"])
@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
class TestRoundTrip:
    def test_method(self, make, write, tmp_path):
        method = make()
        again = load_method(write(tmp_path / "x.pth", method))
        assert type(again) is type(method)
        assert again.settings == method.settings
        assert list(again.state_dict()) == list(method.state_dict())
        assert all(torch.equal(value, method.state_dict()[name]) for name, value in again.state_dict().items())

    def test_analysis_reads_its_backbone(self, make, write, tmp_path):
        method = make()
        loaded = load_backbone(write(tmp_path / "x.pth", method))
        assert loaded.arch == "tiny"
        for name, value in loaded.backbone.state_dict().items():
            assert torch.equal(value, method.encoder_q.state_dict()[name])


class TestOwnFiles:
    def test_switching_a_part_off(self, small, tmp_path):
        path = save_method(tmp_path / "x.pth", small, extra={"epoch": 3})
        method = load_method(path, frame=False, pixel_queue_size=0)
        left = {"decoder.cls_token", "motion_queue.rows", "motion_queue.cursor", "pixel_queue.rows"}
        assert method.report.ignored.keys() == left | {"pixel_queue.cursor"}

    def test_another_size(self, small, tmp_path):
        path = save_method(tmp_path / "x.pth", small)
        with pytest.raises(CheckpointError, match=r"queue.rows \(expected \(21, 8\), found \(20, 8\)\)"):
            load_method(path, queue_size=21)

    def test_unknown_override(self, small, tmp_path):
        path = save_method(tmp_path / "x.pth", small)
        with pytest.raises(InputError, match="FIMA has no setting que_size; its settings are arch, pixel"):
            load_method(path, que_size=21)

    def test_method_around_a_module(self, tmp_path):
        method = MoCo(create_backbone("tiny"), **SMALL)
        with pytest.raises(InputError, match="built around a module"):
            save_method(tmp_path / "x.pth", method)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"version": 9}, "is version 9"),
            ({"method": "BYOL"}, "holds a method 'BYOL', known are MoCo, FIMA"),
            ({"settings": None}, "damaged: no settings"),
        ],
        ids=["version", "method", "settings"],
    )
    def test_damaged(self, small, tmp_path, change, message):
        path = save_method(tmp_path / "x.pth", small)
        torch.save(torch.load(path, weights_only=True) | change, path)
        with pytest.raises(CheckpointError, match=message):
            load_method(path)

    def test_someone_s_code_is_not_run(self, small, tmp_path):
        path = save_method(tmp_path / "x.pth", small)
        content = torch.load(path, weights_only=True)
        content["settings"]["arch"] = "os:getcwd"
        torch.save(content, path)
        with pytest.raises(CheckpointError, match="made with your own os:getcwd"):
            load_method(path)

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such checkpoint"):
            load_method(tmp_path / "none.pth")

    def test_dropout_reaches_every_layer(self, small, tmp_path):
        method = load_method(save_method(tmp_path / "x.pth", small), dropout=0.25)
        rates = [module.p for module in method.modules() if isinstance(module, nn.Dropout)]
        assert rates
        assert set(rates) == {0.25}
