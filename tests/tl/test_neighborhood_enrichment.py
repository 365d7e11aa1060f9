"""Enrichment of neighbourhoods beside a slow implementation."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spotscape import pl, pp, tl
from spotscape.tl._neighborhood_enrichment import expected_counts

pytest.importorskip("squidpy")


@pytest.fixture
def adata():
    """Three slices on grids, with domains in stripes and of different shares."""
    rng = np.random.default_rng(0)
    places = np.array([(x, y) for x in range(8) for y in range(8)], dtype=float)
    obs = pd.DataFrame({"slice": np.repeat(["s1", "s2", "s3"], 64)}, index=[f"spot{row}" for row in range(192)])
    stripes = np.minimum(places[:, 0] // 3, 2).astype(int)
    codes = np.r_[stripes, np.where(rng.uniform(size=64) < 0.3, 2, 1 - stripes % 2), np.zeros(64, dtype=int)]
    codes[-20:] = 1
    obs["domain"] = pd.Categorical.from_codes(codes, ["b", "a", "c"])
    data = anndata.AnnData(sparse.csr_matrix((192, 1)), obs, obsm={"spatial": np.tile(places, (3, 1))})
    pp.spatial_neighbors(data, slice_key="slice", n_neighbors=4)
    return data


def count_pairs(graph, codes, n_domains=3):
    counts = np.zeros((n_domains, n_domains))
    for row, column in zip(*graph.nonzero(), strict=True):
        counts[codes[row], codes[column]] += 1
    return counts


def slow(graph, codes, slices, n_permutations):
    """z-scores with permutations within slices, counts and mean counts."""
    rng = np.random.default_rng(1)
    permuted = []
    for _ in range(n_permutations):
        shuffled = codes.copy()
        for name in np.unique(slices):
            spots = np.flatnonzero(slices == name)
            shuffled[spots] = codes[rng.permutation(spots)]
        permuted.append(count_pairs(graph, shuffled))
    count = count_pairs(graph, codes)
    mean, deviation = np.mean(permuted, axis=0), np.std(permuted, axis=0)
    return (count - mean) / np.where(deviation > 0, deviation, np.nan), count, mean


def test_pooled_and_single_slices_are_those_of_a_slow_implementation(adata):
    tl.neighborhood_enrichment(adata, "domain", n_permutations=2000)
    result = adata.uns["domain_neighborhood"]
    graph, codes = adata.obsp["spatial_connectivities"], adata.obs["domain"].cat.codes.to_numpy()
    slices = adata.obs["slice"].to_numpy(str)
    zscore, count, mean = slow(graph, codes, slices, 500)
    assert result["domains"].tolist() == ["b", "a", "c"]
    np.testing.assert_array_equal(result["count"], count)
    np.testing.assert_allclose(result["expected"], mean, atol=3)
    np.testing.assert_allclose(result["zscore"], zscore, rtol=0.15, atol=0.3)
    table = result["table"]
    for name in ("s1", "s2"):
        spots = np.flatnonzero(slices == name)
        zscore, count, mean = slow(graph[spots][:, spots], codes[spots], slices[spots], 500)
        rows = table[table["slice"] == name]
        wide = rows.pivot(index="domain", columns="neighbor", values="zscore").loc[["b", "a", "c"], ["b", "a", "c"]]
        np.testing.assert_allclose(wide, zscore, rtol=0.15, atol=0.3)
        np.testing.assert_array_equal(rows["count"], count.ravel())
    # The last slice lacks one domain.
    assert set(table.loc[table["slice"] == "s3", "domain"]) == {"a", "b"}
    assert table["count"].sum() == graph.nnz and table["expected"].sum() == pytest.approx(graph.nnz)


def test_expected_counts_are_means_over_all_permutations():
    graph = sparse.csr_matrix(np.eye(5, k=1) + np.eye(5, k=-1))
    codes = np.array([0, 0, 1, 1, 2])
    from itertools import permutations

    every = np.mean([count_pairs(graph, codes[list(order)]) for order in permutations(range(5))], axis=0)
    np.testing.assert_allclose(expected_counts(graph.nnz, np.bincount(codes)), every)


def test_shares_that_differ_between_slices_are_no_neighbourhood():
    """Domains are drawn at random in each slice; permutations over all slices would find a strong enrichment."""
    rng = np.random.default_rng(0)
    places = np.array([(x, y) for x in range(12) for y in range(12)], dtype=float)
    codes = np.r_[rng.uniform(size=144) < 0.8, rng.uniform(size=144) < 0.2].astype(int)
    obs = pd.DataFrame({"slice": np.repeat(["s1", "s2"], 144)}, index=[str(row) for row in range(288)])
    obs["kind"] = pd.Categorical.from_codes(codes, ["x", "y"])
    adata = anndata.AnnData(obs=obs, obsm={"spatial": np.tile(places, (2, 1))})
    pp.spatial_neighbors(adata, slice_key="slice")
    tl.neighborhood_enrichment(adata, "kind", n_permutations=300)
    assert np.abs(adata.uns["kind_neighborhood"]["zscore"]).max() < 3
    mixed, _, _ = slow(adata.obsp["spatial_connectivities"], codes, np.zeros(288), 50)
    assert mixed[0, 0] > 5


def test_spots_without_a_domain_are_left_out(adata, tmp_path):
    part = adata[adata.obs["domain"] != "c"].copy()
    adata.obs.loc[adata.obs["domain"] == "c", "domain"] = None
    for data in (adata, part):
        tl.neighborhood_enrichment(data, "domain", n_permutations=50, key_added="nearby", slice_key="slice")
    whole, of_part = adata.uns["nearby"], part.uns["nearby"]
    np.testing.assert_array_equal(whole["zscore"], of_part["zscore"])
    pd.testing.assert_frame_equal(whole["table"], of_part["table"])
    adata.write_h5ad(tmp_path / "stored.h5ad")
    stored = anndata.read_h5ad(tmp_path / "stored.h5ad")
    assert pl.neighborhood(stored, "nearby", show=False)


def test_heat_maps_show_the_values(adata):
    tl.neighborhood_enrichment(adata, "domain", n_permutations=50)
    result = adata.uns["domain_neighborhood"]
    (panel,) = pl.neighborhood(adata, "domain_neighborhood", value="zscore", show=False)
    np.testing.assert_allclose(panel.images[0].get_array(), result["zscore"])
    panels = pl.neighborhood(adata, "domain_neighborhood", per_slice=True, vmax=2, show=False)
    assert [panel.get_title() for panel in panels] == ["s1", "s2", "s3"]
    # Domain c is not in the last slice: grey.
    shown = panels[2].images[0].get_array()
    assert shown.mask[2].all() and not shown.mask[:2, :2].any()
    first = result["table"].query("slice == 's1' and domain == 'a' and neighbor == 'b'").iloc[0]
    assert panels[0].images[0].get_array()[1, 0] == pytest.approx(
        np.clip(np.log2(first["count"] / first["expected"]), -2, 2)
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"domain_key": "layer"}, KeyError, "`domain_key` is 'layer'"),
        ({"domain_key": "one"}, ValueError, "has 1 domain"),
        ({"graph_key": "other"}, KeyError, "`graph_key` is 'other'"),
        ({"slice_key": "section"}, KeyError, "`slice_key` is 'section'"),
        ({"slice_key": "halves"}, ValueError, "edges that join two slices"),
        ({"n_permutations": 1}, ValueError, "`n_permutations` is 1"),
        ({"key_added": 3}, TypeError, "`key_added` is 3"),
    ],
)
def test_bad_input_is_refused(adata, arguments, error, message):
    adata.obs["one"] = "x"
    adata.obs["halves"] = [str(row % 2) for row in range(adata.n_obs)]
    before = set(adata.uns)
    with pytest.raises(error, match=message):
        tl.neighborhood_enrichment(adata, **{"domain_key": "domain"} | arguments)
    assert set(adata.uns) == before


def test_without_a_result_the_error_says_what_to_call(adata):
    with pytest.raises(KeyError, match="call `spotscape.tl.neighborhood_enrichment` first"):
        pl.neighborhood(adata)
