import functools
import hashlib
import os
import pickle
import warnings

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from fima.checkpoints import (
    IncompleteCheckpointError,
    LoadedBackbone,
    load_backbone,
    save_backbone,
    untrained_backbone,
)
from fima.errors import CheckpointError, InputError
from fima.input_spec import FIMA_112, FIMA_224, FIMA_TINY, MACLR, MACLR_FINETUNED, TCLR, InputSpec
from fima.models import backbone_names, create_backbone

NAMES = {"i3d": "i3d", "r2plus1d": "r2plus1d_18", "r3d": "r3d_18", "slow_r50": "slow_r50"}


@pytest.fixture
def save(tmp_path):
    def write(content, name="file.pt", **kwargs):
        torch.save(content, tmp_path / name, **kwargs)
        return tmp_path / name

    return write


@pytest.fixture(scope="module")
def reference_state(golden):
    """The golden rule's weights, made once: filling a hundred million numbers takes seconds."""
    return functools.cache(golden.state)


@pytest.fixture(scope="module")
def tiny_state():
    return untrained_backbone(seed=3).backbone.state_dict()


def prefixed(state, *prefixes):
    return {prefix + name: value for prefix in prefixes for name, value in state.items()}


def accounts_for_everything(loaded: LoadedBackbone, state) -> None:
    """Every key of the file in one place, every entry of the backbone in one place."""
    report = loaded.report
    mismatched = [item.key for item in report.shape_mismatch]
    assert sorted([*report.loaded, *report.unexpected, *mismatched, *report.ignored]) == sorted(state)
    names = [*report.loaded.values(), *report.missing, *(item.name for item in report.shape_mismatch)]
    assert sorted(names) == sorted(loaded.backbone.state_dict())


def holds(loaded: LoadedBackbone, state) -> bool:
    """Whether each loaded entry is the file's."""
    ours = loaded.backbone.state_dict()
    return all(ours[name].equal(state[key]) for key, name in loaded.report.loaded.items())


class TestFamilies:
    @pytest.mark.parametrize("reference", NAMES)
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda s: s,
            lambda s: {"state_dict": prefixed(s, "module."), "epoch": 7},
            lambda s: {"model_state": prefixed(s, "_orig_mod.")},
            lambda s: {"state_dict": prefixed(s, "module.encoder_q.", "module.encoder_k.")},
            lambda s: {"model_state_dict": prefixed(s, "encoder_q.", "encoder_k.")},
            lambda s: {"model": prefixed(s, "backbone.")},
        ],
        ids=["bare", "data-parallel", "compiled", "moco", "maclr", "backbone"],
    )
    def test_every_reference_entry_finds_its_place(self, reference, wrap, reference_state, save):
        state = reference_state(reference)
        content = wrap(state)
        inner = next((v for v in content.values() if isinstance(v, dict)), content)
        loaded = load_backbone(save(content))
        assert loaded.arch == NAMES[reference]
        accounts_for_everything(loaded, inner)
        assert not loaded.report.missing
        assert not loaded.report.unexpected
        assert len(loaded.report.loaded) == sum(not name.startswith("head.") for name in state)
        assert not any("encoder_k" in key for key in loaded.report.loaded)
        assert holds(loaded, inner)
        assert loaded.trained
        assert not loaded.backbone.training

    def test_whole_fima_checkpoint(self, reference_state, save):
        state = prefixed(reference_state("fima_i3d"), "module.")
        path = save({"epoch": 200, "arch": "I3D", "state_dict": state, "optimizer": {"param_groups": []}})
        loaded = load_backbone(path)
        assert loaded.report.format == "FIMA, FAME, MoCo pre-training"
        assert loaded.epoch == 200
        assert loaded.input == FIMA_224
        accounts_for_everything(loaded, state)
        assert len(loaded.report.loaded) == 342
        reasons = {key.split(".")[1]: reason for key, reason in loaded.report.ignored.items()}
        assert reasons == {
            "cls_token": "motion decoder",
            "embedding1": "motion decoder",
            "embedding2": "motion decoder",
            "transformer_decoder": "motion decoder",
            "encoder_k": "key network",
            "projector_dense": "projector",
            "projector_dense_k": "key network",
            "queue": "queue of keys",
            "queue_ptr": "queue of keys",
            "motion_queue": "queue of keys",
            "motion_queue_ptr": "queue of keys",
        }
        assert holds(loaded, state)

    def test_fine_tuned_fima(self, reference_state, save):
        state = prefixed(
            {**reference_state("i3d"), "fc.weight": torch.zeros(101, 1024), "fc.bias": torch.zeros(101)}, "module."
        )
        loaded = load_backbone(save({"epoch": 150, "state_dict": state, "best_acc1": torch.tensor(84.2)}))
        assert loaded.report.format == "fine-tuned (FIMA)"
        assert loaded.report.ignored == {f"module.fc.{w}": "classifier or head" for w in ("weight", "bias")}

    @pytest.mark.parametrize("reference", ["r2plus1d", "r3d"])
    def test_torchvision_with_its_classifier(self, reference, reference_state, save):
        state = {**reference_state(reference), "fc.weight": torch.zeros(400, 512), "fc.bias": torch.zeros(400)}
        loaded = load_backbone(save(state))
        assert loaded.report.format == "torchvision"
        assert loaded.input == FIMA_112
        assert set(loaded.report.ignored) == {"fc.weight", "fc.bias"}
        assert ("--arch r3d_18_dilated" in " ".join(loaded.report.notes)) == (reference == "r3d")

    def test_maclr_before_and_after_fine_tuning(self, reference_state, save):
        state = reference_state("slow_r50")
        finetuned = load_backbone(save({"model_state": state, "epoch": 9}))
        assert finetuned.report.format == "MaCLR / PySlowFast"
        assert finetuned.input == MACLR_FINETUNED
        assert finetuned.info.temporal_stride == 2
        backbone = {name: value for name, value in state.items() if not name.startswith("head.")}
        pretrained = load_backbone(save({"model_state": prefixed(backbone, "encoder_q.")}))
        assert pretrained.report.format == "MaCLR pre-training"
        assert pretrained.input == MACLR
        assert pretrained.info.temporal_stride == 1

    def test_pyslowfast_says_what_it_was_fed(self, reference_state, save):
        config = "DATA:\n  NUM_FRAMES: 4\n  SAMPLING_RATE: 16\n  TRAIN_CROP_SIZE: 128\n  MEAN: [0.1, 0.2, 0.3]\n"
        content = {"model_state": reference_state("slow_r50"), "cfg": config}
        assert load_backbone(save(content)).input == InputSpec((0.1, 0.2, 0.3), (0.225,) * 3, "rgb", 4, 16, 128)
        content["cfg"] = "!!python/object/apply:os.getcwd []"
        assert load_backbone(save(content)).input == MACLR_FINETUNED

    def test_plain_slow_is_known_by_its_stem(self, reference_state, save):
        state = dict(reference_state("slow_r50"))
        state["s1.pathway0_stem.conv.weight"] = state["s1.pathway0_stem.conv.weight"][:, :, :1].clone()
        loaded = load_backbone(save({"model_state": state}))
        assert loaded.settings == {"stem_temporal_kernel": 1}
        assert holds(loaded, state)
        assert loaded.input == MACLR

    @pytest.mark.parametrize(
        "prefix", ["model.", "net.", "module.module.", "model._orig_mod.", "model.backbone.", "my."]
    )
    def test_any_prefix_will_do(self, prefix, tiny_state, save):
        state = prefixed(tiny_state, prefix)
        loaded = load_backbone(save({"state_dict": state, "epoch": 1}))
        accounts_for_everything(loaded, state)
        assert loaded.report.complete
        assert holds(loaded, state)

    def test_of_two_networks_the_trained_one_is_taken_and_the_other_is_said(self, tiny_state, save):
        state = prefixed(tiny_state, "teacher.", "student.")
        report = load_backbone(save(state)).report
        assert all(key.startswith("student.") for key in report.loaded)
        assert set(report.ignored.values()) == {"copy of the network"}
        state = prefixed(tiny_state, "left.", "right.")
        assert "'left.'; networks of the same entries are under 'right.'" in load_backbone(save(state)).report.notes[0]

    @pytest.mark.parametrize("prefix", ["module.0.", "0."])
    def test_tclr_needs_arch(self, prefix, reference_state, save):
        other = prefix.replace("0", "1")
        state = {**prefixed(reference_state("r3d"), prefix), other + "fc1.weight": torch.zeros(512, 512)}
        path = save({"epoch": 1, "state_dict": state})
        with pytest.raises(CheckpointError, match=r"--arch r3d_18_dilated \(TCLR\) or --arch r3d_18$"):
            load_backbone(path)
        for arch, steps in [("r3d_18_dilated", 4), ("r3d_18", 8)]:
            loaded = load_backbone(path, arch)
            assert (loaded.report.format, loaded.input) == ("TCLR", TCLR)
            assert loaded.info.temporal_stride == steps
            assert loaded.report.ignored == {other + "fc1.weight": "projector"}
            accounts_for_everything(loaded, state)

    def test_tclr_classifier_needs_arch(self, reference_state, save):
        state = {**reference_state("r3d"), "fc.weight": torch.zeros(102, 512), "fc.bias": torch.zeros(102)}
        with pytest.raises(CheckpointError, match="r3d_18_dilated"):
            load_backbone(save({"state_dict": state}))

    def test_old_files_without_counters(self, reference_state, save):
        state = {
            name: value for name, value in reference_state("r3d").items() if not name.endswith("num_batches_tracked")
        }
        loaded = load_backbone(save(state, _use_new_zipfile_serialization=False))
        accounts_for_everything(loaded, state)
        assert loaded.report.complete
        assert len(loaded.report.missing) == 20
        assert loaded.report.missing == loaded.report.tolerated

    def test_what_is_no_tensor_is_left_aside(self, tiny_state, save):
        state = {**tiny_state, "note": "hello", "stem.extra_state": {"a": 1}}
        loaded = load_backbone(save({"state_dict": state}))
        accounts_for_everything(loaded, state)
        assert loaded.report.ignored == {
            "note": "not a tensor but a str",
            "stem.extra_state": "not a tensor but a dict",
        }

    def test_half_precision_files(self, tiny_state, save):
        state = {name: v.half() if v.is_floating_point() else v for name, v in tiny_state.items()}
        weight = load_backbone(save(state)).backbone.stem[0].weight
        assert weight.dtype == torch.float32
        assert weight.equal(state["stem.0.weight"].float())


class TestIncomplete:
    def test_a_hole(self, tiny_state, save):
        state = dict(tiny_state)
        del state["stage2.first.0.weight"]
        path = save({"state_dict": prefixed(state, "module.")})
        with pytest.raises(IncompleteCheckpointError) as caught:
            load_backbone(path)
        assert str(caught.value) == f"{path}: does not fill tiny: 1 of 60 entries missing: stage2.first.0.weight"
        accounts_for_everything(caught.value.partial, prefixed(state, "module."))

    def test_a_shape(self, tiny_state, save):
        path = save({**tiny_state, "stem.1.bias": torch.zeros(3)})
        with pytest.raises(
            CheckpointError, match=r"1 of another shape: stem.1.bias \(expected \(16,\), found \(3,\)\)"
        ):
            load_backbone(path)

    def test_an_extra_inside_the_backbone(self, tiny_state, save):
        with pytest.raises(CheckpointError, match=r"1 without a place in it: stage2\.third\.weight"):
            load_backbone(save({**tiny_state, "stage2.third.weight": torch.zeros(3)}))

    def test_an_extra_beside_the_backbone(self, tiny_state, save):
        loaded = load_backbone(save({**tiny_state, "stage9.weight": torch.zeros(3)}))
        assert loaded.report.ignored == {"stage9.weight": "outside the backbone"}

    def test_a_nan(self, tiny_state, save):
        broken = tiny_state["stem.1.weight"].clone()
        broken[0] = float("nan")
        with pytest.raises(CheckpointError, match=r"1 not finite: stem\.1\.weight"):
            load_backbone(save({**tiny_state, "stem.1.weight": broken}))

    def test_many_are_counted(self, tiny_state, save):
        state = {name: value for name, value in tiny_state.items() if not name.startswith("stage3.")}
        with pytest.raises(
            CheckpointError, match=r"15 of 60 entries missing: stage3\S+, stage3\S+, stage3\S+, …; "
        ) as e:
            load_backbone(save({**state, "stem.x": torch.zeros(1)}))
        assert "\n" not in str(e.value)

    @given(st.data())
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_whatever_is_wrong_every_entry_is_in_one_place(self, tiny_state, save, data):
        prefix = data.draw(st.sampled_from(["", "module.", "module.encoder_q.", "backbone."]))
        names = list(tiny_state)
        holes = data.draw(st.sets(st.sampled_from(names), max_size=12))
        bent = data.draw(st.sets(st.sampled_from(names), max_size=6)) - holes
        state = {n: torch.zeros(7, 7) if n in bent else v for n, v in tiny_state.items() if n not in holes}
        state = prefixed(state, prefix)
        extras = data.draw(st.sets(st.sampled_from(["stem.9.weight", "fc.weight", "queue", "encoder_k.stem.0.weight"])))
        state |= dict.fromkeys(extras, torch.zeros(2))
        try:
            loaded = load_backbone(save({"state_dict": state}))
        except IncompleteCheckpointError as error:
            loaded = error.partial
        else:
            assert not bent
            assert all(name.endswith("num_batches_tracked") for name in holes)
        accounts_for_everything(loaded, state)
        assert set(loaded.report.missing) == holes
        assert {item.name for item in loaded.report.shape_mismatch} == bent
        assert holds(loaded, state)


class RunsCode:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class TestSafety:
    @pytest.mark.parametrize("kind", ["zip", "old", "pickle"])
    def test_code_is_refused_by_name_and_never_run(self, kind, tmp_path, tiny_state):
        marker, path = tmp_path / "ran", tmp_path / "evil.pt"
        content = {"state_dict": tiny_state, "callback": RunsCode(marker)}
        if kind == "pickle":
            path.write_bytes(pickle.dumps(content))
        else:
            torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
        with pytest.raises(CheckpointError, match=r"evil\.pt: needs code .*mkdir.*--trust-checkpoint$") as caught:
            load_backbone(path)
        assert "\n" not in str(caught.value)
        assert not marker.exists()

    def test_trusted_code_is_run_with_a_warning(self, tmp_path, save, tiny_state):
        marker = tmp_path / "ran"
        path = save({"state_dict": tiny_state, "callback": RunsCode(marker)})
        with pytest.warns(UserWarning, match=r"ran code from the file \(.*mkdir\)"):
            loaded = load_backbone(path, trust=True)
        assert marker.is_dir()
        assert loaded.arch == "tiny"

    def test_trust_warns_of_nothing_where_nothing_is_run(self, save, tiny_state):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load_backbone(save(tiny_state), trust=True)

    def test_pickled_module_needs_trust(self, save):
        path = save(nn.DataParallel(create_backbone("tiny")))
        with pytest.raises(CheckpointError, match=r"wants .*--trust-checkpoint"):
            load_backbone(path)
        with pytest.warns(UserWarning, match="ran code"):
            assert load_backbone(path, trust=True).arch == "tiny"

    @pytest.mark.parametrize("trust", [False, True])
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda p: p.write_bytes(b""), "is empty"),
            (lambda p: p.mkdir(), "is a folder"),
            (lambda p: p.write_text("not a checkpoint\n" * 50), "not a PyTorch checkpoint, or a damaged one"),
            (lambda p: p.write_bytes(bytes(range(256)) * 20), "not a PyTorch checkpoint, or a damaged one"),
            (lambda p: p.write_text('{"a": 1}'), "not a PyTorch checkpoint, or a damaged one"),
            (lambda p: torch.save([1, 2], p), "holds a list"),
            (lambda p: torch.save({"epoch": 3}, p), "no state dict in it; it holds epoch"),
            (lambda p: torch.save({"state_dict": {}}, p), "no state dict in it"),
        ],
        ids=["empty", "folder", "text", "noise", "json", "list", "no-state", "empty-state"],
    )
    def test_junk_is_one_line(self, make, message, trust, tmp_path):
        path = tmp_path / "junk.pt"
        make(path)
        with pytest.raises(CheckpointError, match=message) as caught:
            load_backbone(path, trust=trust)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        assert "--trust" not in str(caught.value)

    @pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])
    @pytest.mark.parametrize("keep", [0.02, 0.5, 0.999])
    def test_cut_short(self, new, keep, save, tiny_state):
        path = save(tiny_state, _use_new_zipfile_serialization=new)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
        with pytest.raises(CheckpointError, match="not a PyTorch checkpoint, or a damaged one"):
            load_backbone(path)

    def test_absent(self, tmp_path):
        with pytest.raises(FileNotFoundError) as caught:
            load_backbone(tmp_path / "absent.pt")
        assert str(caught.value) == f"{tmp_path / 'absent.pt'}: no such checkpoint"


OWN_NETWORK = "from torch import nn\ndef f(): return nn.Sequential(nn.Conv3d(3, 4, 1))\n"


class TestForeign:
    def test_unknown_says_what_was_seen_and_what_is_understood(self, save):
        path = save({"state_dict": {"module.encoder_q.0.Conv_1a.weight": torch.zeros(3)}})
        with pytest.raises(CheckpointError, match=r"Conv_1a.*i3d.*MaCLR.*--arch package\.module:factory") as caught:
            load_backbone(path)
        assert "\n" not in str(caught.value)

    def test_another_arch_than_the_flag_says(self, save, reference_state):
        path = save(reference_state("i3d"))
        with pytest.raises(CheckpointError, match=r"--arch tiny; they look like i3d"):
            load_backbone(path, "tiny")
        with pytest.raises(InputError, match="no such architecture"):
            load_backbone(path, "i4d")

    def test_the_user_s_own_network(self, save, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "my_net_a.py").write_text(OWN_NETWORK)
        state = {"module.0.weight": torch.randn(4, 3, 1, 1, 1), "module.0.bias": torch.randn(4)}
        loaded = load_backbone(save({"state_dict": state}), "my_net_a:f")
        assert holds(loaded, state)
        assert loaded.input == FIMA_112
        assert "--input-spec" in " ".join(loaded.report.notes)
        assert loaded.info.channels == 4
        with pytest.raises(CheckpointError, match=r"1 of 2 entries missing: 0\.bias"):
            load_backbone(save({"module.0.weight": state["module.0.weight"]}), "my_net_a:f")

    def test_own_files_never_import_by_themselves(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "my_net_b.py").write_text(OWN_NETWORK)
        path = tmp_path / "own.pt"
        save_backbone(path, create_backbone("my_net_b:f"), arch="my_net_b:f", input=FIMA_112)
        with pytest.raises(CheckpointError, match="pass --arch my_net_b:f to run that code"):
            load_backbone(path)
        assert load_backbone(path, "my_net_b:f").input == FIMA_112


_TRANSFORMER = {"dim": 128, "depth": 4}
SMALL = dict.fromkeys(("videomae", "videomae-small", "vjepa1", "vjepa2", "vjepa21", "timesformer"), _TRANSFORMER) | {
    "hiera": {"dim": 8, "stages": (1, 1, 1, 1)},
    "transformers": {
        "config": {
            "model_type": "vivit",
            "image_size": 32,
            "num_frames": 4,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
        }
    },
    "uniformer": {"dims": (8, 8, 64, 64), "depth": (1, 1, 1, 1)},
}


class TestOwnFormat:
    @pytest.mark.parametrize("arch", backbone_names())
    def test_round_trip(self, arch, tmp_path):
        built = untrained_backbone(arch, seed=1, **SMALL.get(arch, {}))
        spec = InputSpec((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bgr", 12, 3, 40)
        path = save_backbone(tmp_path / "new" / "a.pt", built.backbone, arch=arch, input=spec, extra={"epoch": 5})
        assert list(path.parent.iterdir()) == [path]
        loaded = load_backbone(path)
        assert (loaded.arch, loaded.input, loaded.epoch, loaded.path) == (arch, spec, 5, path)
        assert loaded.report.format == "fima-backbone"
        assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        accounts_for_everything(loaded, built.backbone.state_dict())
        assert holds(loaded, built.backbone.state_dict())

    def test_settings_travel(self, tmp_path):
        backbone = create_backbone("slow_r50", width=4, temporal_kernels=(3, 3, 3, 3), stem_temporal_stride=2)
        loaded = load_backbone(save_backbone(tmp_path / "a.pt", backbone, arch="slow_r50", input=MACLR))
        assert loaded.backbone.settings == backbone.settings
        assert loaded.info.channels == 128

    def test_a_failed_write_leaves_the_old_file(self, tmp_path, monkeypatch):
        tiny = untrained_backbone()
        path = save_backbone(tmp_path / "a.pt", tiny.backbone, arch="tiny", input=FIMA_TINY)
        before = path.read_bytes()

        def stop(content, file):
            file.write(b"half")
            raise KeyboardInterrupt

        monkeypatch.setattr(torch, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            save_backbone(path, tiny.backbone, arch="tiny", input=FIMA_TINY)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_what_could_not_be_read_back_is_not_written(self, tmp_path):
        with pytest.raises(CheckpointError, match="extra must hold only"):
            save_backbone(
                tmp_path / "a.pt", create_backbone("tiny"), arch="tiny", input=FIMA_TINY, extra={"f": RunsCode("x")}
            )
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"version": 2}, "is version 2 of fima-backbone, this program reads version 1"),
            ({"arch": None}, "damaged: no arch"),
            ({"arch": "i9d"}, "a.pt: --arch i9d: no such architecture"),
            ({"input": {"mean": 0}}, "a.pt: input spec lacks std"),
            ({"state_dict": 3}, "damaged: no state_dict"),
        ],
        ids=str,
    )
    def test_damaged(self, change, message, tmp_path):
        path = save_backbone(tmp_path / "a.pt", create_backbone("tiny"), arch="tiny", input=FIMA_TINY)
        torch.save({**torch.load(path), **change}, path)
        with pytest.raises(CheckpointError, match=message):
            load_backbone(path)

    def test_flag_against_file(self, tmp_path):
        path = save_backbone(tmp_path / "a.pt", create_backbone("tiny"), arch="tiny", input=FIMA_TINY)
        assert load_backbone(path, "tiny").arch == "tiny"
        with pytest.raises(CheckpointError, match="holds tiny, but --arch says i3d"):
            load_backbone(path, "i3d")

    def test_input_spec_overrides(self, tmp_path):
        path = save_backbone(tmp_path / "a.pt", create_backbone("tiny"), arch="tiny", input=FIMA_TINY)
        assert load_backbone(path, input_spec="size=40").input == FIMA_TINY.replace(size=40)
        assert load_backbone(path, input_spec=MACLR).input == MACLR

    def test_unknown_device(self, tmp_path):
        path = save_backbone(tmp_path / "a.pt", create_backbone("tiny"), arch="tiny", input=FIMA_TINY)
        with pytest.raises(InputError, match="--device gpu: "):
            load_backbone(path, device="gpu")


class TestUntrained:
    def test_weights_depend_on_the_seed_alone(self):
        torch.manual_seed(1)
        first = untrained_backbone(seed=5)
        torch.manual_seed(2)
        state = torch.get_rng_state()
        again, other = untrained_backbone(seed=5), untrained_backbone(seed=6)
        assert torch.get_rng_state().equal(state)
        weights = [loaded.backbone.stem[0].weight for loaded in (first, again, other)]
        assert weights[0].equal(weights[1])
        assert not weights[0].equal(weights[2])

    def test_says_so(self):
        loaded = untrained_backbone(input_spec="size=28")
        assert (loaded.arch, loaded.trained, loaded.report.format) == ("tiny", False, "untrained")
        assert (loaded.path, loaded.sha256) == (None, None)
        assert loaded.input == FIMA_TINY.replace(size=28)
        assert not loaded.backbone.training
        assert "random weights, seed 0" in loaded.report.notes


def test_a_notebook_shows_what_was_loaded(tmp_path):
    built = untrained_backbone("tiny", seed=0)
    loaded = load_backbone(save_backbone(tmp_path / "a<b>.ckpt", built.backbone, arch="tiny", input=built.input))
    shown = loaded._repr_html_()
    assert "a&lt;b&gt;.ckpt" in shown
    assert "<b>" not in shown
    assert f"{len(loaded.report.loaded)} in the backbone" in shown
    assert f"{loaded.sha256[:16]}…" in shown
    assert f"{built.input.num_frames} frames, stride {built.input.frame_stride}" in shown
    assert "random, untrained" in built._repr_html_()
