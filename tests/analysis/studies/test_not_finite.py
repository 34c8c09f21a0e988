"""A backbone whose weights are finite and whose features are not: every measure refuses it, nothing is drawn."""

import pytest
import torch

from analysis.settings import Settings
from analysis.studies import run
from fima.errors import InputError
from fima.models.registry import create_backbone


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    state = create_backbone("tiny").state_dict()
    name = [name for name in state if name.endswith("running_var")][1]
    state[name] = -torch.ones_like(state[name])
    path = tmp_path_factory.mktemp("broken") / "broken.pth"
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    "measure", ["cam", "affinity", "temporal", "localize", "sensitivity", "attribution", "embedding"]
)
def test_features_that_are_no_numbers_are_refused(broken, measure):
    data = "shapes:camera,videos=6,size=64"
    settings = Settings(ckpt=str(broken), data=data, split="test", num_frames=8, size=56, steps=2, device="cpu")
    with pytest.raises(InputError, match="not finite"):
        run(measure, settings)
