"""Principal components: scikit-learn and numpy as oracles, fixed signs, streams, what a map tells."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from analysis.measures.pca import (
    Moments,
    component_colors,
    fit_basis,
    principal_components,
    share_explained_by,
)
from fima.errors import InputError


def features(n=2, c=6, seed=0, grid=(2, 3, 4)):
    generator = torch.Generator().manual_seed(seed)
    scale = torch.linspace(3, 0.5, c)[None, :, None, None, None]
    return torch.randn(n, c, *grid, generator=generator) * scale + 7


def test_as_scikit_learn_finds_them():
    given = features()
    cells = given.movedim(1, -1).reshape(-1, 6).double().numpy()
    theirs = PCA(3).fit(cells)
    basis = fit_basis(given)
    np.testing.assert_allclose(basis.explained, theirs.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(basis.components.abs(), np.abs(theirs.components_), atol=1e-9)
    np.testing.assert_allclose(basis.mean, theirs.mean_)
    ours = principal_components(given, basis).movedim(1, -1).reshape(-1, 3)
    np.testing.assert_allclose(ours.abs(), np.abs(theirs.transform(cells)), atol=1e-9)


def test_the_largest_loading_is_positive_whatever_the_sign_of_the_features():
    for maps in (features(), 14 - features()):
        components = fit_basis(maps).components
        assert (components.gather(1, components.abs().argmax(dim=1, keepdim=True)) > 0).all()
    torch.testing.assert_close(fit_basis(features()).components, fit_basis(14 - features()).components)


@given(cut=st.integers(1, 4), seed=st.integers(0, 50))
def test_clip_by_clip_is_all_at_once(cut, seed):
    whole = features(n=5, seed=seed)
    moments = Moments()
    for part in (whole[:cut], whole[cut:]):
        moments.add(part)
    one, other = moments.basis(), fit_basis(whole)
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.variances, other.variances)
    torch.testing.assert_close(one.components, other.components, rtol=1e-6, atol=1e-8)


def test_features_of_one_direction_have_one_color():
    line = torch.linspace(-1, 1, 8).reshape(1, 1, 2, 2, 2) * torch.tensor([1.0, -2.0])[None, :, None, None, None]
    basis = fit_basis(line)
    torch.testing.assert_close(basis.explained, torch.tensor([1.0, 0, 0], dtype=torch.float64))
    colors = component_colors(principal_components(line, basis), basis)
    torch.testing.assert_close(colors[:, 1:], torch.full_like(colors[:, 1:], 0.5))
    assert colors[0, 0].flatten().diff().lt(0).all()  # the largest loading is that of the second channel


def test_colors_keep_their_limits_and_equal_features_are_equal():
    given = features()
    basis = fit_basis(given)
    far = component_colors(principal_components(given * 100, basis), basis)
    assert (far.min(), far.max()) == (0, 1)
    assert torch.equal(
        component_colors(principal_components(given[1:], basis), basis),
        component_colors(principal_components(given, basis), basis)[1:],
    )


def test_what_tells_everything_and_what_tells_nothing():
    told = torch.randn(2, 3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(share_explained_by(told, told * 2 + 1), torch.ones(2, dtype=torch.float64))
    flat = share_explained_by(told, torch.ones(2, 1, 4, 5, 5))
    assert torch.isnan(flat).all()
    assert torch.isnan(share_explained_by(torch.zeros(2, 3, 4, 5, 5), told)).all()
    noise = torch.randn(2, 5, 4, 5, 5, generator=torch.Generator().manual_seed(1))
    assert float(share_explained_by(told, noise).mean()) == pytest.approx(5 / 99, abs=0.04)


@pytest.mark.parametrize("doubled", [False, True], ids=["once", "a regressor twice"])
def test_share_is_that_of_least_squares(doubled):
    generator = torch.Generator().manual_seed(3)
    maps = torch.randn(1, 2, 3, 4, 4, generator=generator)
    told = torch.randn(1, 3, 3, 4, 4, generator=generator) + 0.7 * maps[:, :1]
    design = maps[0].flatten(1).T.double().numpy()
    design = np.column_stack([design, np.ones(len(design))])
    target = told[0].flatten(1).T.double().numpy()
    left = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    expected = 1 - (left**2).sum() / ((target - target.mean(axis=0)) ** 2).sum()
    given = torch.cat((maps, maps), dim=1) if doubled else maps
    assert float(share_explained_by(told, given)) == pytest.approx(expected, rel=1e-9)


def test_refused():
    basis = fit_basis(features())
    with pytest.raises(InputError, match="must have the basis' 6 channels, got 4"):
        principal_components(features(c=4), basis)
    with pytest.raises(InputError, match="must share clips and grid"):
        share_explained_by(features(c=3), features(grid=(2, 3, 3)))
    with pytest.raises(InputError, match="at least 2 cells, got 1"):
        fit_basis(torch.zeros(1, 4, 1, 1, 1))
