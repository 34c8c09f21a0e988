"""The table of real clips: the numbers are those of the studies, and differences are paired."""

import numpy as np
import pytest

from analysis.reproduction.judge import MAPS, SCORES, judge
from analysis.settings import Settings
from analysis.studies import run


def test_the_table_holds_the_studies_numbers_and_paired_differences():
    settings = Settings(data="shapes:easy,videos=3,size=56", size=56, num_frames=8)
    lines = judge(["tiny-vd", "random"], settings).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert rows[0][1:] == list(SCORES.values())
    assert [row[0] for row in rows[2:]] == ["`tiny-vd`", "`random`", *(f"{name}, no network" for name in MAPS.values())]
    studies = {
        name: run("localize", Settings(ckpt=name, data=settings.data, size=56, num_frames=8))
        for name in ("tiny-vd", "random")
    }
    first, second = (studies[name].video_scores["ring_auroc"] for name in studies)
    column = list(SCORES).index(("localize", "ring_auroc")) + 1
    assert rows[2][column].startswith(f"{np.mean(first):.3f} [")
    mean, difference = rows[3][column].split("<br>")
    assert float(mean.split()[0]) == pytest.approx(np.mean(second), abs=5e-4)
    assert float(difference.split()[0]) == pytest.approx(np.mean(first - second), abs=5e-4)
    assert rows[4][list(SCORES).index(("mover", "picture")) + 1].startswith("0.")
    assert rows[2][list(SCORES).index(("mover", "control")) + 1] == "–"  # drawn videos have none
