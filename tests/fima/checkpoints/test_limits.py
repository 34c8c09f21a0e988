"""What a checkpoint may hold: whatever is in it, one line says why it is refused, before it costs much."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import time
import warnings
import zipfile

import pytest
import torch

from fima.checkpoints import load_backbone, save_backbone
from fima.errors import CheckpointError
from fima.input_spec import FIMA_TINY
from fima.models.registry import create_backbone


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "tiny.ckpt"
    return torch.load(save_backbone(path, create_backbone("tiny"), arch="tiny", input=FIMA_TINY), weights_only=True)


def refusal(path, limit=10.0):
    begun = time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        load_backbone(path)
    assert time.monotonic() - begun < limit
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 2000
    return message


def saved(folder, content):
    torch.save(content, folder / "a.pth")
    return folder / "a.pth"


def repacked(source, target, entry, content, compression=zipfile.ZIP_DEFLATED):
    """The archive with another content under a name."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for item in old.infolist():
            with new.open(item.filename, "w", force_zip64=True) as file:
                for part in content if item.filename.endswith(entry) else [old.read(item)]:
                    file.write(part)
    return target


@pytest.mark.parametrize("entry", ["data.pkl", "/data/0"])
def test_archives_that_unpack_to_more_than_the_file(tmp_path, good, entry):
    path = repacked(saved(tmp_path, good), tmp_path / "b.pth", entry, [bytes(1 << 24)] * 64)
    assert path.stat().st_size < 20_000_000
    assert "unpack to" in refusal(path)


def test_torchscript_is_named(tmp_path):
    torch.jit.trace(create_backbone("tiny").eval(), torch.rand(1, 3, 16, 56, 56)).save(str(tmp_path / "a.pt"))
    assert "TorchScript" in refusal(tmp_path / "a.pt")


KINDS = {
    "meta": lambda value: value.to("meta"),
    "sparse": lambda value: value.to_sparse() if value.ndim > 1 else value,
    "quantized": lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8) if value.ndim > 1 else value,
    "complex64": lambda value: value.to(torch.complex64) if value.ndim > 1 else value,
    "int8": lambda value: value.to(torch.int8) if value.ndim > 1 else value,
    "bool": lambda value: value.to(torch.bool) if value.ndim > 1 else value,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tensors_that_are_no_weights(tmp_path, good, kind):
    state = {key: KINDS[kind](value) for key, value in good["state_dict"].items()}
    (tmp_path / "plain").mkdir()
    paths = saved(tmp_path, {**good, "state_dict": state}), saved(tmp_path / "plain", state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(kind in refusal(path) for path in paths)


def test_views_that_show_more_than_is_stored(tmp_path, good):
    one = torch.zeros(1).as_strided((10**13,), (0,))
    assert "shows" in refusal(saved(tmp_path, {**good, "state_dict": {**good["state_dict"], "extra": one}}))
    many = {f"x{i}": torch.zeros(1).expand(4_000_000) for i in range(500)}
    assert "many times what is stored" in refusal(saved(tmp_path, {**good["state_dict"], **many}))


@pytest.mark.parametrize("key", [1, None, b"x", 2.5])
def test_names_are_texts(tmp_path, good, key):
    refusal(saved(tmp_path, {**good, "state_dict": {**good["state_dict"], key: torch.zeros(1)}}))


def test_names_are_short(tmp_path, good):
    assert "5000000 letters" in refusal(saved(tmp_path, {"k" * 5_000_000: torch.zeros(1)}))


FIELDS = {
    "extra": [[1], "x", 3],
    "settings": [{1: 2}, {"name": "x"}, {"width": "a"}, [1]],
    "input": [{"mean": [10**400] * 3, "std": 1}, {"mean": None}, {"num_frames": 10**30}, 4],
    "arch": [["tiny"], "nothing", 1],
    "version": [99, None, [1]],
    "state_dict": [[], {}, {"a": [[[[]]]]}],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in FIELDS.items() for value in values])
def test_fields_of_another_type(tmp_path, good, field, value):
    refusal(saved(tmp_path, {**good, field: value}))


def test_structures_without_end(tmp_path, good):
    deep: list = []
    for _ in range(200):
        deep = [deep]
    assert "deep" in refusal(saved(tmp_path, {**good, "extra": {"a": deep}}))
    wide: list = ["x"]
    for _ in range(40):
        wide = [wide, wide]
    assert "more than 2000000 values" in refusal(saved(tmp_path, {**good, "extra": {"a": wide}}), limit=30)


def test_methods_of_another_version(tmp_path, good):
    method = {"format": "fima-method", "version": 2, "settings": {"arch": "tiny"}, "state_dict": good["state_dict"]}
    assert "is version 2 of fima-method" in refusal(saved(tmp_path, method))


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").touch()
    (tmp_path / "cut").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "pickle").write_bytes(pickle.dumps(io.BytesIO))
    for name in ("pipe", "empty", "cut", "pickle"):
        refusal(tmp_path / name)
    with pytest.raises(CheckpointError, match="cannot be opened"):
        load_backbone(tmp_path / "loop")


def test_settings_of_argparse_are_read(tmp_path, good):
    path = saved(tmp_path, {"state_dict": good["state_dict"], "args": argparse.Namespace(lr=0.1, gpu=None)})
    assert load_backbone(path).arch == "tiny"
