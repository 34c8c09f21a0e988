import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.common.chance import choose_partners
from fima.errors import InputError


@given(
    groups=st.lists(st.integers(0, 5), min_size=1, max_size=25),
    seed=st.integers(0, 5),
    order=st.randoms(use_true_random=False),
)
def test_partners_come_from_other_recordings_whatever_the_order(groups, seed, order):
    ids = [f"video {i}" for i in range(len(groups))]
    chosen = choose_partners(ids, groups=groups, seed=seed)
    for place, row in enumerate(chosen):
        taken = [one for one in row if one >= 0]
        assert len(taken) == len(set(taken)) == min(3, sum(group != groups[place] for group in groups))
        assert all(groups[one] != groups[place] for one in taken)
    shuffled = order.sample(range(len(ids)), len(ids))
    again = choose_partners([ids[i] for i in shuffled], groups=[groups[i] for i in shuffled], seed=seed)
    for place, row in zip(shuffled, again, strict=True):
        assert [ids[one] for one in chosen[place] if one >= 0] == [ids[shuffled[one]] for one in row if one >= 0]


def test_every_video_is_a_partner_equally_often():
    chosen = choose_partners([f"v{i}" for i in range(40)])
    assert (np.bincount(chosen.ravel()) == 3).all()
    assert not (chosen == np.arange(40)[:, None]).any()


def test_another_class_is_preferred():
    ids, labels = [f"v{i}" for i in range(12)], [0] * 6 + [1] * 6
    chosen = choose_partners(ids, labels=labels)
    assert all(labels[one] != labels[place] for place, row in enumerate(chosen) for one in row)
    assert (choose_partners(ids[:6], labels=labels[:6]) >= 0).all()  # one class only: another video all the same


def test_siblings_of_one_recording_are_never_partners():
    # In UCF101's order the previous video is nearly always of the same recording.
    ids = [f"v_{name}_g{group:02d}_c{clip:02d}" for name in "AB" for group in range(3) for clip in range(5)]
    groups = [name.rpartition("_c")[0] for name in ids]
    chosen = choose_partners(ids, groups=groups, labels=[name[2] for name in ids])
    assert all(groups[one] != groups[place] for place, row in enumerate(chosen) for one in row)


def test_another_seed_chooses_others():
    ids = [f"v{i}" for i in range(30)]
    assert (choose_partners(ids, seed=0) != choose_partners(ids, seed=1)).any()


def test_one_video_has_no_partner():
    assert choose_partners(["a"]).tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize(
    ("ids", "kwargs", "message"),
    [(["a", "a"], {}, "differ"), (["a", "b"], {"groups": [1]}, "groups must be one for each of the 2 videos, got 1")],
)
def test_refuses(ids, kwargs, message):
    with pytest.raises(InputError, match=message):
        choose_partners(ids, **kwargs)
