"""Correlations between genes in counts, held-out counts and denoised expression."""

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import spotscape as sps

TRUTH = np.array([[1.0, 0.7, 0.0], [0.7, 1.0, -0.4], [0.0, -0.4, 1.0]])
GENES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def made():
    """Poisson counts of genes with known correlations, a gene without variance and many others."""
    rng = np.random.default_rng(0)
    n_spots = 6000
    shares = 40 * np.clip(1 + 0.3 * rng.multivariate_normal(np.zeros(3), TRUTH, n_spots), 0, None)
    shares = np.column_stack([shares, np.full(n_spots, 40.0), np.full((n_spots, 8), 1230.0)])
    depth = rng.lognormal(np.log(1500), 0.4, n_spots)
    counts = rng.poisson(shares * depth[:, None] / 1e4).astype(np.float32)
    names = [*GENES, "flat", *(f"other_{number}" for number in range(8))]
    obs = pd.DataFrame(index=[f"spot_{number}" for number in range(n_spots)])
    adata = AnnData(counts, obs=obs, var=pd.DataFrame(index=names))
    adata.layers["denoised"] = shares
    sps.pp.thin_counts(adata)
    return adata


@pytest.fixture
def adata(made):
    return made.copy()


def correlate(adata, genes=GENES, **arguments):
    sps.tl.gene_correlations(adata, genes, **{"layer": "counts_fit", "held_out": "counts_held_out"} | arguments)
    return sps.get.gene_correlations(adata).set_index(["gene_1", "gene_2"])


def test_noise_is_removed_without_a_model(adata):
    table = correlate(adata)
    truth = np.array([TRUTH[0, 1], TRUTH[0, 2], TRUTH[1, 2]])
    np.testing.assert_allclose(table["denoised"], truth, atol=0.05)
    np.testing.assert_allclose(table["noise_corrected"], truth, atol=0.12)
    assert abs(table.loc[("a", "b"), "counts"]) < 0.2 and abs(table.loc[("a", "b"), "held_out"]) < 0.2
    assert list(table.index) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_reliability_is_the_share_of_the_variance_that_is_no_noise(adata):
    table = correlate(adata, ["a", "flat"])
    reliability = adata.uns["gene_correlations"]["genes"].set_index("gene")["reliability"]
    # Variance of the shares over that of the counts per 10,000 of half of the molecules.
    noise = 40.0 * np.mean(1e4 / np.maximum(adata.layers["counts_fit"].sum(axis=1), 1))
    assert reliability["a"] == pytest.approx(144 / (144 + noise), abs=0.03)
    assert abs(reliability["flat"]) < 0.05
    assert np.isnan(table["noise_corrected"]).all() and np.isfinite(table["counts"]).all()


def test_differences_between_slices_are_no_correlation(adata):
    alone = correlate(adata)
    adata.obs["slice"] = np.where(np.arange(adata.n_obs) % 2, "even", "odd")
    odd = (adata.obs["slice"] == "odd").to_numpy()
    adata.layers["denoised"][odd, :2] += 15
    shifted = correlate(adata)
    np.testing.assert_allclose(shifted["denoised"], alone["denoised"], atol=0.02)
    assert correlate(adata, slice_key=None).equals(shifted)


def test_a_data_frame_is_enough_and_held_out_counts_are_optional(adata):
    frame = pd.DataFrame(adata.layers.pop("denoised")[:, 2::-1], index=adata.obs_names, columns=GENES[::-1])
    table = correlate(adata, denoised=frame)
    assert table.loc[("a", "b"), "denoised"] == pytest.approx(TRUTH[0, 1], abs=0.05)
    assert list(correlate(adata, denoised=frame, held_out=None).columns) == ["counts", "denoised"]
    assert list(correlate(adata, denoised=None, held_out=None).columns) == ["counts"]
    with pytest.raises(ValueError, match="are not the 6000 spots"):
        correlate(adata, denoised=frame[::-1])


def test_counts_that_the_model_has_seen_are_not_held_out(adata):
    with pytest.raises(ValueError, match=r"`adata.layers\['counts_held_out'\]` are a part of those in `adata.X`"):
        correlate(adata, layer=None)
    with pytest.raises(ValueError, match="are a part of those"):
        correlate(adata, held_out="counts_fit")


@pytest.mark.parametrize("change", [lambda x: x / 1e4, lambda x: np.log1p(x), lambda x: x - 40])
def test_denoised_values_in_another_unit_are_refused(adata, change):
    adata.layers["denoised"] = change(adata.layers["denoised"])
    with pytest.raises(ValueError, match="library_size=1e4"):
        correlate(adata)
    assert "gene_correlations" not in adata.uns


def test_mistakes_are_named(adata):
    with pytest.raises(ValueError, match=r"1 distinct gene\(s\); pass at least 2"):
        correlate(adata, ["a", "a"])
    with pytest.raises(KeyError, match="`genes` is 'x'"):
        correlate(adata, ["a", "x"])
    with pytest.raises(KeyError, match="`denoised` is 'none'"):
        correlate(adata, denoised="none")
    adata.layers["denoised"][0, 0] = np.nan
    with pytest.raises(ValueError, match="missing or infinite"):
        correlate(adata)
    with pytest.raises(KeyError, match="call `spotscape.tl.gene_correlations` first"):
        sps.get.gene_correlations(adata)


@pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore:zarr v3 autosharding")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_result_is_written_and_read(adata, tmp_path, suffix):
    table = correlate(adata, ["a", "flat", "b"])
    path = tmp_path / f"data.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    read = getattr(anndata, f"read_{suffix}")(path)
    pd.testing.assert_frame_equal(sps.get.gene_correlations(read).set_index(["gene_1", "gene_2"]), table)
    assert read.uns["gene_correlations"]["params"]["held_out"] == "counts_held_out"


def test_copy_leaves_the_original(adata):
    result = sps.tl.gene_correlations(adata, GENES, copy=True)
    assert "gene_correlations" in result.uns and "gene_correlations" not in adata.uns
