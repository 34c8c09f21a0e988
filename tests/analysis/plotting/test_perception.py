"""Colors are told apart in gray print and with the common color-vision deficiencies, and mean one thing."""

import itertools
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from analysis.pages.strips import mark, places_of
from analysis.plotting.common.films import overlay
from analysis.plotting.common.marks import Marks
from analysis.plotting.style import ACTIVATION_CMAP, MARKERS, PALETTE, REFERENCE, SIMILARITY_CMAP, pair_look

# Machado, Oliveira and Fernandes 2009, severity 1, in linear RGB.
DEFICIENCIES = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def _linear(srgb):
    srgb = np.asarray(srgb, float)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _lab(srgb, deficiency="normal"):
    """CIE L*a*b* (D65) of sRGB colors ``(..., 3)`` as somebody with the deficiency sees them."""
    rgb = np.clip(_linear(srgb) @ np.transpose(DEFICIENCIES[deficiency]), 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = rgb @ to_xyz.T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_checkpoints_differ_in_color_and_always_in_shape(deficiency):
    looks = [*zip(PALETTE, MARKERS, strict=True)]
    for (first, shape), (second, other) in itertools.combinations(looks, 2):
        assert shape != other
        apart = np.linalg.norm(_lab(to_rgb(first), deficiency) - _lab(to_rgb(second), deficiency))
        assert apart > 10, (first, second)  # ten just noticeable differences
    for color in PALETTE[:4]:
        assert np.linalg.norm(_lab(to_rgb(color), deficiency) - _lab(to_rgb(REFERENCE), deficiency)) > 10, color


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("name", [ACTIVATION_CMAP, SIMILARITY_CMAP])
def test_color_maps_get_lighter_for_everybody(name, deficiency):
    lightness = _lab(mpl.colormaps[name](np.linspace(0, 1, 64))[:, :3], deficiency)[:, 0]
    assert (np.diff(lightness) > 0).all()
    assert np.ptp(lightness) > 60  # also what gray print keeps


def test_an_overlaid_peak_has_the_color_of_the_bar_whatever_lies_below():
    bar = mpl.colormaps[ACTIVATION_CMAP](np.linspace(0.5, 1, 64))[:, :3]
    for below in (0, 128, 255):
        frames = np.full((1, 32, 32, 3), below, np.uint8)
        maps = np.zeros((1, 8, 8), np.float32)
        maps[0, 3:5, 3:5] = 1
        shown = overlay(frames, maps)[0][15, 15] / 255
        assert np.linalg.norm(_lab(bar) - _lab(shown), axis=-1).min() < 25, below
        corner = overlay(frames, maps)[0][1, 1].astype(int)
        assert np.abs(corner - below).max() <= 3  # nothing over what is not active


def test_untrained_weights_are_gray_in_figures_and_pages_alike():
    studies = {name: SimpleNamespace(untrained=name == "random") for name in ("random", "a", "b")}
    marks, places = Marks.of(studies), places_of(list(studies), ["random"])
    for name in studies:
        assert marks.color(name) in mark(places[name])
    assert marks.color("random") == REFERENCE
    alone = Marks.of({"random": studies["random"]})
    assert alone.color("random") == PALETTE[0]  # nothing to be the reference of


def test_conditions_are_told_without_a_hue():
    aligned, misaligned, disjoint = map(pair_look, ("aligned", "misaligned", "disjoint"))
    assert aligned["facecolor"] != "none"
    assert "hatch" in misaligned
    assert "hatch" not in disjoint
    for look in (misaligned, disjoint):
        assert look["facecolor"] == "none"
        assert len(set(to_rgb(look["edgecolor"]))) == 1  # gray
