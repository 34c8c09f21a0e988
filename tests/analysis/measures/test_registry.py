"""The registry of measures: every score has an entry, and what is derived from it is in step."""

import importlib.util
import re

import pytest

from analysis.measures.affinity import affinity_chance
from analysis.measures.common.offsets import OFFSET_CHANCE
from analysis.measures.localization import SCORES
from analysis.measures.registry import CORE, MEASURES, STUDIES, find_measure, find_score, full_name, score_table
from analysis.measures.sensitivity import ALTERATIONS
from analysis.reproduction.rows import COLUMNS as JUDGED
from analysis.reproduction.score import SCORES as REPRODUCED
from analysis.studies.common.files import figure_words


@pytest.mark.parametrize("name", MEASURES)
def test_the_tables_of_the_documentation_are_those_of_the_registry(repo_dir, name):
    text = (repo_dir / "docs/measures.md").read_text(encoding="utf-8")
    assert score_table(name) in text, f"docs/measures.md: the table of {name} must be\n{score_table(name)}"


@pytest.mark.parametrize("name", MEASURES)
def test_an_entry_says_what_is_asked_what_numbers_mean_and_when_they_mislead(name):
    entry = MEASURES[name]
    assert entry.name == name
    assert entry.question.endswith("?")
    assert all(text.endswith(".") for text in (entry.meaning, entry.misleads, entry.figure))
    assert not entry.summary.endswith(".")
    assert 0 < len(entry.main) <= 4
    assert all(find_score(name, score).meaning for score in entry.main)


@pytest.mark.parametrize("name", MEASURES)
def test_an_entry_of_a_score_can_be_read_by_a_stranger(name):
    for key, score in MEASURES[name].scores.items():
        assert key == score.name
        assert re.fullmatch(r"[a-z0-9_]+", key)
        assert score.meaning
        assert "_" not in score.label
        assert len(score.title) <= 40
        assert score.better in ("higher", "lower", "")
        assert score.limits[0] < score.limits[1]


@pytest.mark.parametrize("name", MEASURES)
def test_no_two_scores_of_a_measure_have_one_name(name):
    entry = MEASURES[name]
    variants = ["", *entry.variants]
    keys = [f"{key}{v}" if v.startswith("_") else f"{v}{key}" for key in entry.scores for v in variants]
    titles = [find_score(name, key).title for key in keys]
    assert len(set(titles)) == len(titles)
    assert not any("-" in title.replace("top-1", "").replace("half-", "") for title in titles if "−" in title)


def test_scores_are_named_by_the_registry_wherever_measures_stand_side_by_side():
    shown = [REPRODUCED[name] for name in ("energy", "auroc", "top1_agreement", "affinity_auroc", "offset_auroc")]
    assert shown == [full_name(*score) for score in (
        ("localize", "energy"), ("localize", "auroc"), ("affinity", "top1_agreement"), ("affinity", "auroc"),
        ("temporal", "offset_auroc"),
    )]  # fmt: skip
    assert all(label == full_name(*score) for score, label in JUDGED.items())


@pytest.mark.parametrize("name", STUDIES)
def test_every_figure_that_an_entry_names_can_be_drawn_and_has_a_caption(name):
    module, words = importlib.import_module(f"analysis.plotting.{name}"), figure_words(name)
    for part in ("", *(f"_{part}" for part in MEASURES[name].parts)):
        assert callable(getattr(module, f"draw_{name}{part}"))
    assert all(text.endswith(".") and text.count(". ") < 3 for text in words.values())


def test_no_source_spells_a_score_its_own_way(repo_dir):
    """Words for scores of earlier versions, which drifted from the registry's."""
    old = re.compile(
        r"activation energy|(localization|affinity|temporal) AUROC|affinity top-1|AUROC, as far|pointing game|"
        r"share inside|AUROC (with)?in a video", re.IGNORECASE,
    )  # fmt: skip
    files = [path for room in ("analysis", "docs") for path in (repo_dir / room).rglob("*")]
    files = [path for path in files if path.suffix in (".py", ".md", ".html", ".js", ".ipynb")]
    found = [path for path in files if old.search(path.read_text(encoding="utf-8"))]
    assert not found


@pytest.mark.parametrize("name", STUDIES)
def test_a_measure_has_a_study_and_a_figure_under_its_name(name):
    for room in ("studies", "plotting"):
        assert importlib.util.find_spec(f"analysis.{room}.{name}") is not None


def test_what_the_measures_compute_has_entries():
    assert MEASURES["affinity"].scores.keys() == affinity_chance((2, 2)).keys()
    assert MEASURES["localize"].scores.keys() == {*SCORES, "ring_auroc"}
    assert {f"offset_{name}" for name in OFFSET_CHANCE} <= MEASURES["temporal"].scores.keys()
    assert set(ALTERATIONS) < MEASURES["sensitivity"].scores.keys()


@pytest.mark.parametrize(
    ("measure", "score", "title", "better"),
    [
        ("affinity", "auroc_foreground", "AUROC, foreground", "higher"),
        ("affinity", "displacement_foreground", "displacement, foreground (cells)", "lower"),
        ("localize", "motion_energy", "energy inside, motion map", "higher"),
        ("localize", "center_best_iou", "best IoU, centered Gaussian", ""),
        ("sensitivity", "motion_share", "motion share", "higher"),
        ("sensitivity", "frozen", "distance, frozen", ""),
        ("cam", "motion_energy_correlation", "correlation with the size of the motion", "higher"),
        ("cam", "not_known_yet", "not known yet", ""),
        ("unheard", "of_it", "of it", ""),
    ],
)
def test_scores_and_their_variants_are_found(measure, score, title, better):
    found = find_score(measure, score)
    assert (found.name, found.title, found.better) == (score, title, better)


def test_a_measure_without_an_entry_has_its_name():
    assert find_measure("unheard").title == "Unheard"


def test_what_a_comparison_takes_by_default():
    assert CORE == ("cam", "affinity", "temporal", "localize", "mover", "sensitivity")
    assert set(STUDIES) == {
        *CORE,
        "attention",
        "attribution",
        "faithfulness",
        "background",
        "probe",
        "units",
        "embedding",
        "mechanism",
        "pca",
    }
