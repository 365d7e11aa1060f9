"""Bad input to spatial domains: one clear sentence, and an unchanged AnnData."""

import numpy as np
import pytest

from spotscape import tl

from .conftest import assert_unchanged


@pytest.mark.parametrize("n_domains", [0, 1, 10_000, 2.5])
def test_numbers_of_domains_out_of_range_are_refused(adata, n_domains):
    adata.obsm["X_spotscape"] = np.random.default_rng(0).normal(size=(adata.n_obs, 4))
    before = adata.copy()
    with pytest.raises((ValueError, TypeError), match="n_domains"):
        tl.domains(adata, n_domains=n_domains)
    assert_unchanged(adata, before)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"smoothing": 1.0}, ValueError, "`smoothing` is 1.0"),
        ({"smoothing": -0.1}, ValueError, "`smoothing` is -0.1"),
        ({"smoothing": 0.5}, KeyError, "call `spotscape.pp.spatial_neighbors` first"),
        ({"method": "mclust"}, ValueError, "`method` is 'mclust'"),
        ({"use_rep": "X_pca"}, KeyError, "X_pca"),
    ],
)
def test_bad_arguments_of_domains_are_refused(adata, arguments, error, message):
    adata.obsm["X_spotscape"] = np.random.default_rng(0).normal(size=(adata.n_obs, 4))
    before = adata.copy()
    with pytest.raises(error, match=message):
        tl.domains(adata, n_domains=3, **arguments)
    assert_unchanged(adata, before)
