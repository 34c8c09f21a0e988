"""Features compared after a method's own projectors: whose, at which position, and when there are none."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from analysis.cli import main
from analysis.compare import compare
from analysis.inputs.backbone.spaces import project_map, projected_space
from analysis.inputs.video.clips import read_clip
from analysis.pages.explorer import explore_sessions, open_sessions
from analysis.settings import Settings
from analysis.studies import open_session, run
from fima.checkpoints import load_backbone, save_backbone
from fima.data.readers.file import VideoReader
from fima.data.sampling import uniform_clip_starts
from fima.errors import InputError
from fima.methods import FIMA, MaCLR, MoCo, export_method, save_method
from fima.models.heads import Projector
from fima.transforms.motion import flow_edges, frame_difference, optical_flow
from fima.transforms.normalize import normalize

SMALL = {"queue_size": 20, "dim": 8, "hidden": 16}
CLIP = {"num_frames": 8, "frame_stride": 2, "size": 56}


pytestmark = pytest.mark.usefixtures("one_thread")


def _different(method):
    """The method with key networks unlike the trained ones."""
    generator = torch.Generator().manual_seed(1)
    for name, value in method.state_dict().items():
        if value.is_floating_point() and "queue" not in name:
            value *= 0.5 + torch.rand(value.shape, generator=generator)
    return method


@pytest.fixture
def method():
    torch.manual_seed(0)
    return _different(FIMA("tiny", width=16, feedforward=16, heads=2, **SMALL))


@pytest.fixture
def maclr():
    torch.manual_seed(0)
    return _different(MaCLR("tiny", motion_arch="tiny", flow_preset="fast", **SMALL))


def _middle(path, spec):
    """The clip in the middle of a video, ``(1, 3, T, H, W)`` in [0, 1]."""
    with VideoReader(path) as reader:
        start = uniform_clip_starts(len(reader), 1, num_frames=spec.num_frames, frame_stride=spec.frame_stride)[0]
        return read_clip(reader, start, spec).movedim(1, 0)[None].float() / 255


def _rows_by_hand(projector, feature_map):
    """``(P, D)`` unit vectors: each position on its own, then the mean over time."""
    first, _, second = projector.net
    slices = []
    for slice_ in feature_map[0].unbind(dim=1):
        rows = slice_.flatten(1).t().double()
        hidden = (rows @ first.weight.flatten(1).t().double() + first.bias.double()).clamp(min=0)
        slices.append(hidden @ second.weight.flatten(1).t().double() + second.bias.double())
    return F.normalize(torch.stack(slices).mean(dim=0), dim=1)


def test_a_map_is_projected_at_every_position_alone():
    projector = Projector(6, dim=5, hidden=7)
    feature_map = torch.randn(2, 6, 3, 4, 5)
    projected = project_map(projector, feature_map)
    first, _, second = projector.net
    twin = F.conv3d(
        F.conv3d(feature_map, first.weight[..., None], first.bias).relu(), second.weight[..., None], second.bias
    )
    torch.testing.assert_close(projected, twin)


@torch.no_grad()
def test_affinity_compares_what_the_trained_projector_gives(method, tmp_path, clips_dir):
    video = clips_dir / "dog.mp4"
    ckpt = str(save_method(tmp_path / "last.ckpt", method))
    study = run("affinity", Settings(ckpt=ckpt, video=str(video), space="projected", **CLIP))
    method.eval()
    spec = method.input_spec.replace(**CLIP)
    clip = _middle(video, spec)
    inputs = (clip, frame_difference(clip, boundary="repeat"))
    rgb, motion = (_rows_by_hand(method.projector_dense, method.encoder_q(normalize(x, spec))) for x in inputs)
    np.testing.assert_allclose(study.arrays["affinity_mean"], (rgb @ motion.t()).numpy(), atol=1e-4)
    plain = run("affinity", Settings(ckpt=ckpt, video=str(video), **CLIP))
    assert abs(plain.arrays["affinity_mean"] - study.arrays["affinity_mean"]).max() > 0.01
    of_keys = [_rows_by_hand(method.projector_dense_k, method.encoder_q(normalize(x, spec))) for x in inputs]
    assert abs((of_keys[0] @ of_keys[1].t()).numpy() - study.arrays["affinity_mean"]).max() > 0.001
    # What is foreground, and which patch is the most active, is the backbone's to say.
    for name in ("example_mask", "example_patch"):
        np.testing.assert_array_equal(plain.arrays[name], study.arrays[name])


@pytest.mark.parametrize("measure", ["affinity", "temporal"])
def test_a_projector_that_changes_nothing_changes_no_number(measure, tmp_path, clips_dir):
    """Features of tiny are not negative, so two unit matrices with a ReLU between them leave them as they are."""
    torch.manual_seed(0)
    method = MoCo("tiny", queue_size=20, dim=128, hidden=128)
    with torch.no_grad():
        for part in (method.projector_dense.net[0], method.projector_dense.net[2]):
            part.weight.copy_(torch.eye(128)[..., None, None])
            part.bias.zero_()
    ckpt = str(save_method(tmp_path / "last.ckpt", method))
    video = str(clips_dir / "dog.mp4")
    plain, projected = (
        run(measure, Settings(ckpt=ckpt, video=video, space=s, **CLIP)) for s in ("backbone", "projected")
    )
    for name, array in plain.arrays.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(projected.arrays[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


@torch.no_grad()
def test_maclr_s_motion_comes_from_its_own_pathway(maclr, tmp_path, clips_dir):
    video = clips_dir / "dog.mp4"
    ckpt = str(save_method(tmp_path / "last.ckpt", maclr))
    settings = Settings(ckpt=ckpt, video=str(video), space="projected", **CLIP)
    study = run("affinity", settings)
    maclr.eval()
    spec = maclr.input_spec.replace(**CLIP)
    dense = _middle(video, spec.replace(num_frames=16, frame_stride=1))
    rgb = maclr.encoder_q(normalize(dense[:, :, ::2], spec))
    motion = maclr.motion_encoder_q(flow_edges(optical_flow(dense, preset="fast")))
    assert motion.shape[2] == 2 * rgb.shape[2]
    motion = motion.unflatten(2, (rgb.shape[2], 2)).mean(dim=3)
    expected = _rows_by_hand(maclr.projector, rgb) @ _rows_by_hand(maclr.motion_projector, motion).t()
    np.testing.assert_allclose(study.arrays["affinity_mean"], expected.numpy(), atol=1e-4)
    assert study.provenance["motion_input"] == "flow_edges, motion pathway"
    assert study.provenance["boundary"] is None
    assert study.provenance["input"]["num_frames"] == 8
    temporal = run("temporal", settings)
    assert temporal.arrays["similarity_mean"].shape == (rgb.shape[2],) * 2
    assert np.isfinite(temporal.arrays["offset_mean"]).all()
    # The backbone's own space is that of any checkpoint: the difference of the frames through the visual pathway.
    plain = run("affinity", replace(settings, space="backbone"))
    assert plain.provenance["motion_input"] == "frame_difference"


def test_maclr_s_motion_needs_a_stride_with_a_half(maclr, tmp_path):
    ckpt = str(save_method(tmp_path / "last.ckpt", maclr))
    with pytest.raises(InputError, match=r"frame_stride must be even, .* got 3"):
        open_session(Settings(ckpt=ckpt, space="projected", num_frames=8, frame_stride=3))


def test_files_of_the_reference_code_have_the_same_space(method, tmp_path):
    files = save_method(tmp_path / "ours.ckpt", method), export_method(tmp_path / "theirs.pth.tar", method)
    studies = [run("affinity", Settings(ckpt=str(file), space="projected", **CLIP)) for file in files]
    np.testing.assert_array_equal(*(study.arrays["affinity_mean"] for study in studies))


@pytest.mark.parametrize("measure", ["affinity", "temporal"])
def test_the_space_is_told_where_the_numbers_are(measure, method, tmp_path, capsys):
    ckpt = save_method(tmp_path / "last.ckpt", method)
    argv = [measure, "--ckpt", str(ckpt), "--space", "projected", "--out", str(tmp_path / "out"), "--size", "56"]
    assert main(argv) == 0
    report = json.loads((tmp_path / "out" / f"{measure}.json").read_text())
    assert report["provenance"]["space"] == "projected"
    assert "--space projected" in report["provenance"]["command"]
    study = run(measure, Settings(ckpt=str(ckpt), space="projected", size=56))
    assert "projected features" in study.figure().get_suptitle()
    assert "projected" not in run(measure, Settings(ckpt=str(ckpt), size=56)).figure().get_suptitle()


def _finetuned(backbone):
    state = {f"module.{name}": value for name, value in backbone.state_dict().items()}
    return {"state_dict": state | {"module.fc.weight": torch.zeros(5, 128), "module.fc.bias": torch.zeros(5)}}


def test_files_without_a_projector_are_refused_in_one_line(method, tmp_path, capsys):
    backbone = method.encoder_q
    save_backbone(tmp_path / "backbone.pt", backbone, arch="tiny", input=method.input_spec)
    torch.save(_finetuned(backbone), tmp_path / "finetuned.pth.tar")
    torch.save(backbone.state_dict(), tmp_path / "plain.pth")
    for name in ("backbone.pt", "finetuned.pth.tar", "plain.pth"):
        load_backbone(tmp_path / name)  # fine but for the projector
        argv = ["affinity", "--ckpt", str(tmp_path / name), "--space", "projected", "--out", str(tmp_path / "out")]
        assert main(argv) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "--space projected" in said
        assert name in said
        assert not (tmp_path / "out").exists()


def test_without_a_checkpoint_there_is_no_projector():
    with pytest.raises(InputError, match="--space projected needs --ckpt"):
        open_session(Settings(space="projected"))


def test_activation_maps_are_not_projected(method, tmp_path):
    ckpt = str(save_method(tmp_path / "last.ckpt", method))
    with pytest.raises(InputError, match="space projected: cam is of the backbone"):
        run("cam", Settings(ckpt=ckpt, space="projected"))


def test_a_method_of_your_own_has_no_projected_space():
    with pytest.raises(InputError, match="Sequential has no projected feature maps"):
        projected_space(nn.Sequential())


def test_two_methods_are_compared_and_explored_in_their_own_spaces(method, maclr, tmp_path, clips_dir):
    files = [str(save_method(tmp_path / f"{name}.ckpt", one)) for name, one in (("fima", method), ("maclr", maclr))]
    settings = Settings(video=str(clips_dir / "dog.mp4"), space="projected", show=1, **CLIP)
    compared = compare(settings, files)
    assert set(compared.studies) == {"affinity", "temporal"}  # the others are of the backbone
    assert all("projected features" in figure.get_suptitle() for _, figure in compared.figures())
    (clip,) = explore_sessions(open_sessions(settings, files)).clips
    for name, file in zip(("fima", "maclr"), files, strict=True):
        alone = run("affinity", replace(settings, ckpt=file)).arrays["affinity_mean"]
        np.testing.assert_array_equal(compared.studies["affinity"][name].arrays["affinity_mean"], alone)
        np.testing.assert_allclose(clip.mean[name], alone, atol=1e-6)
