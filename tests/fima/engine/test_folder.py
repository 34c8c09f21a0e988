"""A run's folder is claimed before anything in it is touched."""

import pytest

from fima.engine.configuration import RunConfig
from fima.engine.folder import opened_run
from fima.engine.resume import ResumePoint
from fima.errors import InputError
from fima.files.locks import exclusive


def test_a_damaged_checkpoint_keeps_its_name_until_the_folder_is_claimed(tmp_path):
    last = tmp_path / "last.ckpt"
    last.write_text("damaged")
    resume = ResumePoint(tmp_path / "step-00000002.ckpt", None, damaged=(last,))
    config = RunConfig(data="d", out=str(tmp_path))
    with exclusive(tmp_path / ".fima-lock", "here"), pytest.raises(InputError, match="another run is writing there"):
        opened_run(config, "pretrain", {}, resume=resume).__enter__()
    assert last.read_text() == "damaged"
    with opened_run(config, "pretrain", {}, resume=resume):
        assert [path.name for path in tmp_path.glob("last*")] == ["last.ckpt.damaged"]
