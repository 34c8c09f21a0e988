"""Settings of a video transformer from the shapes of its entries, or from ``config.json`` where there is one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fima.errors import CheckpointError

__all__ = ["Names", "settings_of"]

Names = Mapping[str, tuple[int, ...]]
"""Name in our network (or ``name#k``, a third of it) → shape."""


def settings_of(arch: str, names: Names, config: Mapping[str, Any], missing: str) -> dict[str, Any]:
    """What to build.

    Args:
        arch: one of our video transformers.
        names: of the file's entries.
        config: of a Hugging Face folder; empty where there is none.
        missing: begins the message about an entry that is not there.

    Raises:
        CheckpointError: if an entry that tells a size is not there.
    """
    shapes = _Shapes(names, missing)
    if arch == "hiera":
        return _hiera(shapes)
    if arch == "uniformer":
        return _uniformer(shapes)
    patch = shapes["patch_embed.proj.weight"]
    settings: dict[str, Any] = {
        "dim": patch[0],
        "depth": 1 + shapes.last(r"blocks\.(\d+)\."),
        "mlp_dim": shapes[shapes.like(r"blocks\.\d+\.mlp\.fc1\.weight")][0],
        "patch_size": patch[-1],
        "qkv_bias": any("attn.qkv.bias" in name for name in names),
        "eps": float(config.get("layer_norm_eps", 1e-6)),
    }
    if "num_attention_heads" in config:
        settings["heads"] = int(config["num_attention_heads"])
    elif arch in ("vjepa2", "vjepa21") and patch[0] == 1408:
        settings["heads"] = 22
    if arch == "timesformer":
        return settings | {"attention": _attention(names)}
    settings |= {"tubelet_size": patch[2], "layer_scale": any(name.endswith("gamma_1") for name in names)}
    return settings | _positions(arch, shapes, config)


def _positions(arch: str, shapes: _Shapes, config: Mapping[str, Any]) -> dict[str, Any]:
    if arch in ("vjepa2", "vjepa21"):
        return {"positions": "rotary" if arch == "vjepa2" else "stretched"}
    norms = {"final_norm": "norm.weight" in shapes.names, "fc_norm": "fc_norm.weight" in shapes.names}
    if arch == "videomae" and not (norms["final_norm"] or norms["fc_norm"] or config.get("use_mean_pooling")):
        norms["final_norm"] = True  # one of them is in every file: the report then says that it is missing
    tubelet, patch = shapes["patch_embed.proj.weight"][2:4]
    if "pos_embed" not in shapes.names and arch == "videomae":
        grid = None
        if "image_size" in config:
            side = int(config["image_size"]) // patch
            grid = [int(config.get("num_frames", 16)) // tubelet, side, side]
        return {"positions": "sincos", "grid": grid, **norms}
    count = shapes["pos_embed"][1]
    # Both families are trained on 16 frames of a square; other numbers only where that does not fit.
    grids = [(frames // tubelet, round((count * tubelet / frames) ** 0.5)) for frames in (16, 8, 32, 64, 4, 2)]
    grid = next(([steps, side, side] for steps, side in grids if steps * side * side == count), None)
    if grid is None:
        raise CheckpointError(f"{shapes.missing}pos_embed of square frames in it: it has {count} positions")
    return {"positions": "table", "grid": grid, "resize": arch == "vjepa1", **norms}


def _attention(names: Names) -> str:
    if any("temporal_attn." in name for name in names):
        return "divided"
    return "joint" if "time_embed" in names else "space"


def _hiera(shapes: _Shapes) -> dict[str, Any]:
    dim = shapes["patch_embed.proj.weight"][0]
    widths = [shapes[f"blocks.{n}.attn.proj.weight"][0] for n in range(1 + shapes.last(r"blocks\.(\d+)\."))]
    return {
        "dim": dim,
        "stages": [widths.count(dim * 2**stage) for stage in range(4)],
        "head_norm": "norm.weight" in shapes.names,
        "num_frames": 2 * shapes["pos_embed_temporal"][1],
        "size": 4 * round(shapes["pos_embed_spatial"][1] ** 0.5),
    }


def _uniformer(shapes: _Shapes) -> dict[str, Any]:
    return {
        "dims": [shapes[f"patch_embed{stage}.proj.weight"][0] for stage in range(1, 5)],
        "depth": [1 + shapes.last(rf"blocks{stage}\.(\d+)\.") for stage in range(1, 5)],
    }


class _Shapes:
    """Shapes by name; what is not there is an error that names it."""

    def __init__(self, names: Names, missing: str) -> None:
        self.names, self.missing = names, missing

    def __getitem__(self, name: str) -> tuple[int, ...]:
        if name not in self.names:
            raise CheckpointError(f"{self.missing}{name} in it, which tells its size")
        return self.names[name]

    def last(self, pattern: str) -> int:
        """The largest number that a pattern finds."""
        found = [int(match[1]) for name in self.names if (match := re.match(pattern, name))]
        if not found:
            raise CheckpointError(f"{self.missing}{pattern.partition('(')[0]}0 in it".replace("\\", ""))
        return max(found)

    def like(self, pattern: str) -> str:
        """The first name of a pattern; the pattern itself if there is none."""
        return next((name for name in self.names if re.fullmatch(pattern, name)), pattern.replace("\\", ""))
