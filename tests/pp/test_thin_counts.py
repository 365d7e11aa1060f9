"""Binomial thinning of counts."""

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import spotscape as sps


@pytest.fixture
def adata():
    return sps.datasets.synthetic_tissue(n_slices=2, n_spots=150, n_genes=40, seed=0)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_parts_add_up_and_have_their_share(adata, share):
    before = adata.layers["counts"].copy()
    sps.pp.thin_counts(adata, share)
    fit, held_out = adata.layers["counts_fit"], adata.layers["counts_held_out"]
    assert abs(fit + held_out - before).max() == 0 and abs(adata.layers["counts"] - before).max() == 0
    assert fit.sum() / before.sum() == pytest.approx(share, abs=0.02)
    assert fit.dtype == np.float32 and fit.format == "csr" and fit.data.min() >= 1


def test_noise_of_the_parts_is_independent():
    counts = np.random.default_rng(0).poisson(3.0, (4000, 5)).astype(np.float32)
    adata = AnnData(sparse.csr_matrix(counts))
    sps.pp.thin_counts(adata, key_added="half")
    first, second = (adata.layers[f"half_{part}"].toarray() for part in ("fit", "held_out"))
    between = [np.corrcoef(first[:, gene], second[:, gene])[0, 1] for gene in range(5)]
    assert np.abs(between).max() < 4 / np.sqrt(4000)
    # Either part and all counts are not independent.
    assert np.corrcoef(first[:, 0], counts[:, 0])[0, 1] > 0.6


def test_seed_decides_and_a_copy_leaves_the_original(adata):
    first, again, other = (sps.pp.thin_counts(adata, seed=seed, copy=True) for seed in (0, 0, 1))
    assert "counts_fit" not in adata.layers
    assert abs(first.layers["counts_fit"] - again.layers["counts_fit"]).max() == 0
    assert abs(first.layers["counts_fit"] - other.layers["counts_fit"]).max() > 0


def test_what_cannot_be_thinned_is_refused(adata):
    adata.layers["half"] = adata.layers["counts"] * 0.5
    with pytest.raises(ValueError, match="not whole numbers"):
        sps.pp.thin_counts(adata, layer="half")
    for share in (0, 1):
        with pytest.raises(ValueError, match=f"`share` is {share}; it must be above 0"):
            sps.pp.thin_counts(adata, share)
    with pytest.raises(KeyError, match="`layer` is 'x'"):
        sps.pp.thin_counts(adata, layer="x")
    assert set(adata.layers) == {"counts", "half"}
