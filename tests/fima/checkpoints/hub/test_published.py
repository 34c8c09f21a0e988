"""Every entry of every published file: in the backbone, or named as what it is. No weights are made."""

import json
import re
from pathlib import Path

import pytest
import torch

from fima.checkpoints.containers import unwrap
from fima.checkpoints.filling import fill
from fima.checkpoints.hub.families import recognize
from fima.models import create_backbone

PUBLISHED = json.loads((Path(__file__).parents[3] / "golden" / "transformers_names.json").read_text())["published"]
ASIDE = {"classifier or head", "decoder of the pre-training", "predictor", "another encoder, not taken"}

FAMILY = (
    ("videomae", "VideoMAE"),
    ("vjepa21", "V-JEPA 2.1"),
    ("vjepa2", "V-JEPA 2"),
    ("vjepa1", "V-JEPA 1"),
    ("timesformer", "TimeSformer"),
    ("hiera", "Hiera"),
    ("uniformer", "UniFormer"),
)


def rows(parts):
    """Container → key → an entry without memory."""
    for part, entries in parts.items():
        state = {}
        for key, shape, dtype in parts["target_encoder"] if entries == "as target_encoder" else entries:
            span = re.search(r"\{(\d+)-(\d+)\}", key)
            for number in range(int(span[1]), int(span[2]) + 1) if span else [0]:
                name = key.replace(span[0], str(number)) if span else key
                state[name] = torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
        yield part, state


@pytest.mark.parametrize("name", [name for name in PUBLISHED if "vivit" not in name])
def test_every_entry_has_a_place_or_a_name(name):
    parts = dict(rows(PUBLISHED[name]["parts"]))
    content = next(iter(parts.values())) if len(parts) == 1 and next(iter(parts))[0] in "(m" else parts
    content = parts if next(iter(parts)) in ("model", "module", "model_state") else content
    path = Path(PUBLISHED[name]["file"].replace("(folder) config.json + ", ""))
    found = recognize(unwrap(content, path), path)
    family = next(family for word, family in FAMILY if word in name)
    assert found.family.startswith(f"{family} (")
    with torch.device("meta"):
        report = fill(create_backbone(found.arch, **found.settings), found, found.family)
    assert report.problems == ()
    assert set(report.ignored.values()) <= ASIDE, report.ignored
    for key, reason in report.ignored.items():
        assert reason != "another encoder, not taken" or key.startswith("encoder.")
    count = sum(len(state) for state in parts.values())
    assert len(report.loaded) + len(report.ignored) == count


@pytest.mark.parametrize(
    ("name", "frames", "stride", "size"),
    [
        ("videomae_pretrain_vit_base", 16, 4, 224),
        ("videomae_finetune_vit_base_ssv2", 16, 2, 224),
        ("vjepa1_vit_huge_384", 16, 4, 384),
        ("vjepa2_vit_large", 64, 2, 256),
        ("vjepa2_vit_giant384", 64, 2, 384),
        ("vjepa21_vit_base", 64, 2, 384),
        ("timesformer_8x32_224_K400", 8, 32, 224),
        ("timesformer_16x16_448_K400", 16, 16, 448),
        ("timesformer_96x4_224_K400", 96, 4, 224),
        ("hiera_base_16x224", 16, 4, 224),
        ("mmaction2_videomae_vit_base", 16, 4, 224),
    ],
)
def test_clips_of_published_files(name, frames, stride, size):
    parts = dict(rows(PUBLISHED[name]["parts"]))
    path = Path(PUBLISHED[name]["file"])
    found = recognize(unwrap(parts, path), path)
    with torch.device("meta"):
        spec = create_backbone(found.arch, **found.settings).input_spec
    assert (spec.num_frames, spec.frame_stride, spec.size) == (frames, stride, size)


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("videomae_pretrain_vit_small", 6),
        ("videomae_pretrain_vit_huge", 16),
        ("videomaev2_giant_k710_ft", 16),
        ("vjepa1_vit_huge_224", 16),
        ("vjepa2_vit_giant", 22),
        ("vjepa21_vit_gigantic", 26),
    ],
)
def test_heads_of_published_files(name, heads):
    parts = dict(rows(PUBLISHED[name]["parts"]))
    found = recognize(unwrap(parts, "file"), Path("file"))
    with torch.device("meta"):
        backbone = create_backbone(found.arch, **found.settings)
    assert {block.attn.heads for block in backbone.blocks} == {heads}
