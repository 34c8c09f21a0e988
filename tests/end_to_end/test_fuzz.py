"""Damaged files and senseless flags, 1,000 of them drawn with a seed: each is read, or refused in one line."""

import contextlib
import io
import json
import shutil
import time
import zipfile

import numpy as np
import pytest
import torch
import yaml

from analysis.cli import _parser as analyze_parser
from analysis.commands.flags import settings_from
from analysis.measures.registry import STUDIES
from fima.checkpoints import load_backbone
from fima.checkpoints.shipped import shipped_path
from fima.cli import COMMANDS
from fima.cli import _parser as fima_parser
from fima.cli import main as fima
from fima.data.datasets import open_dataset
from fima.data.masks import open_masks
from fima.data.readers.file import VideoReader
from fima.engine.parsing import read_settings
from fima.errors import InputError
from fima.evaluation.feature_store import read_features
from fima.evaluation.results_table.readers import collect
from fima.input_spec import InputSpec
from fima.methods import load_method
from fima.tasks.classify.parse import parse_supervised
from fima.tasks.pretrain.recipes import parse_pretrain

CASES, SECONDS, SLOWEST = 1000, 110, 20
WORDS = ["", " ", "-1", "0", "9" * 20, "9" * 5000, "1e999", "nan", "-inf", "²", "٣", "null", "[]", "{a: b}", "a\x00b"]
WORDS += [
    "[" * 2000,
    "../..",
    "/dev/zero",
    "/",
    "~",
    "%s%n",
    "\udcff",
    "漢",
    "random:" + "9" * 30,
    "os:abort",
    "*" * 300,
]


def read_video(path):
    with VideoReader(path) as reader:
        reader.frames([0, len(reader) - 1])


def results(path):
    """A result of a folder of its own, under the name that the table looks for."""
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / "result.json")
    return collect([folder])


LOADERS = {
    "a.ckpt": [load_backbone, load_method],
    "a.mp4": [read_video],
    "a.parquet": [read_features],
    "a.csv": [open_dataset, open_masks],
    "a.npz": [lambda path: np.asarray(open_masks(path.parent))],
    "a.json": [lambda path: InputSpec.parse(str(path)), results],
    "a.yaml": [
        lambda path: InputSpec.parse(str(path)),
        read_settings,
        lambda path: parse_pretrain(["--recipe", str(path)]),
    ],
}


@pytest.fixture(scope="module")
def seeds(tmp_path_factory, clips_dir):
    """A right file of each kind."""
    folder = tmp_path_factory.mktemp("seeds")
    shutil.copy(shipped_path("tiny-fima"), folder / "a.ckpt")
    shutil.copy(clips_dir / "dog.mp4", folder / "a.mp4")
    words = [
        "extract",
        "--ckpt",
        "tiny-fima",
        "--data",
        "shapes:easy,videos=3,size=64",
        "--clips",
        "1",
        "--split",
        "test",
    ]
    assert fima([*words, "--out", str(folder / "a.parquet")]) == 0
    (folder / "a.csv").write_text("video,frame,x1,y1,x2,y2\na,1,2,3,4,5\n")
    np.savez(folder / "a.npz", masks=np.zeros((4, 8, 8), bool))
    spec = {"mean": 0.45, "std": [0.2, 0.2, 0.2], "num_frames": 8, "size": 112}
    (folder / "a.json").write_text(json.dumps({**spec, "task": "linear", "checkpoint": {"path": "x"}}))
    (folder / "a.yaml").write_text(yaml.safe_dump({**spec, "method": {"name": "moco"}, "optimizer": {"epochs": 3}}))
    return {path.name: path.read_bytes() for path in sorted(folder.glob("a.*"))}


def damaged(content, draw):
    """Bytes changed, cut, repeated or exchanged; text fields replaced by senseless words."""
    data = bytearray(content)
    for _ in range(draw.integers(1, 5)):
        at, kind = int(draw.integers(len(data) + 1)), draw.integers(6)
        end = min(len(data), at + int(draw.integers(1, 200)))
        if kind == 0:
            del data[at:end]
        elif kind == 1:
            data[at:end] = draw.bytes(end - at)
        elif kind == 2:
            data[at:at] = data[at:end]
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            data[at:at] = str(draw.choice(WORDS)).encode("utf-8", "surrogateescape")
        else:
            data[at:end] = b"\xff" * (end - at)
    return bytes(data)


def repacked(content, draw):
    """A checkpoint whose archive is right and whose members are damaged."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        chosen = draw.choice(old.namelist())
        for name in old.namelist():
            new.writestr(name, damaged(old.read(name), draw) if name == chosen else old.read(name))
    return out.getvalue()


def odd_flags(draw):
    """A command's parser and words of which at least one is senseless."""

    def value():
        return str(draw.choice(WORDS))

    kind = draw.integers(4)
    if kind == 0:
        measure = str(draw.choice(list(STUDIES)))
        flag = str(
            draw.choice(
                ["--num-frames", "--size", "--clips", "--start-seconds", "--seed", "--data", "--ckpt", "--layer"]
            )
        )
        return lambda: settings_from(analyze_parser().parse_args([measure, f"{flag}={value()}"]))
    if kind == 1:
        command = str(draw.choice([c.name for c in COMMANDS if not c.typed]))
        flag = str(draw.choice(["--ckpt", "--data", "--out", "--clips", "--k", "--seed", "--batch-size", "--format"]))
        return lambda: fima_parser([command]).parse_args([command, f"{flag}={value()}"])
    group = str(
        draw.choice(
            ["--seed", "--optimizer.lr", "--optimizer.epochs", "--input.size", "--method.queue_size", "--resume"]
        )
    )
    words = ["--data", "x", "--ckpt", "tiny-fima"] if kind == 2 else ["--data", "x", "--recipe", "moco-shapes"]
    parse = (lambda words: parse_supervised(words, "linear")) if kind == 2 else parse_pretrain
    return lambda: parse([*words, f"{group}={value()}"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_whatever_is_read_is_understood_or_refused(seeds, tmp_path, capfd):
    draw, began, done, wrong = np.random.default_rng(0), time.monotonic(), 0, []
    while done < CASES and time.monotonic() - began < SECONDS:
        if done % 3:
            name = str(draw.choice(list(seeds)))
            path = tmp_path / f"{done}" / name
            path.parent.mkdir()
            pack = name == "a.ckpt" and draw.integers(2)
            path.write_bytes((repacked if pack else damaged)(seeds[name], draw))
            read = LOADERS[name][draw.integers(len(LOADERS[name]))]
            what, act = path, lambda read=read, path=path: read(path)
        else:
            what, act = "flags", odd_flags(draw)
        start = time.monotonic()
        try:
            with torch.random.fork_rng(devices=[]):
                act()
        except SystemExit as stop:
            if stop.code != 2:
                wrong.append(f"{done} {what}: left with {stop.code}")
        except (InputError, OSError) as error:
            if not str(error):
                wrong.append(f"{done} {what}: {type(error).__name__} without a word")
        except Exception as error:
            wrong.append(f"{done} {what}: {type(error).__name__}: {str(error)[:200]}")
        if time.monotonic() - start > SLOWEST:
            wrong.append(f"{done} {what}: {time.monotonic() - start:.0f} s")
        if what != "flags":
            with contextlib.suppress(OSError):
                shutil.rmtree(what.parent)
        done += 1
    assert not wrong, "\n".join(wrong)
    assert done > 200  # on a machine that does something else too
