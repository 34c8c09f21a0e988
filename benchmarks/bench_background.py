"""The background battery against its forward passes alone: drawing, masks, composing, and the probes beside them.

One run: seconds of the whole study over the seconds that it spends in the backbone, the small one at 112 pixels and 16
frames. Libraries are loaded before.
"""

from __future__ import annotations

import time
from typing import Any

import sklearn.linear_model
import sklearn.model_selection  # noqa: F401
import torch
from limits import check, finish, timed

from analysis.inputs.sessions import open_session
from analysis.settings import Settings
from analysis.studies.background import run

VIDEOS, LIMIT = 60, 1.2


def main() -> None:
    torch.set_num_threads(1)
    data = f"shapes:easy,videos={VIDEOS},seed=7,size=112,num_frames=16"
    session = open_session(Settings(ckpt="random", arch="small", data=data, num_frames=16, frame_stride=1, size=112))
    plain, spent = session.extractor.feature_map, []

    def counted(clip: torch.Tensor) -> Any:
        seconds, features = timed(lambda: plain(clip), time.perf_counter)
        spent.append(seconds)
        return features

    session.extractor.feature_map = counted  # type: ignore[method-assign]
    whole, _ = timed(lambda: run(session), time.perf_counter)
    check(f"{VIDEOS} videos: {whole:.1f} s over {sum(spent):.1f} s of forward passes", whole / sum(spent), most=LIMIT)


if __name__ == "__main__":
    main()
    finish()
