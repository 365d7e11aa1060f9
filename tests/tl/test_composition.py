"""Shares of domains, and their tests, against slow definitions."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import spotscape as sps


@pytest.fixture
def adata():
    data = sps.datasets.synthetic_tissue(n_slices=6, n_spots=120, n_genes=40, n_domains=4, seed=0)
    data.obs["condition"] = np.where(data.obs["slice"].isin(["slice_1", "slice_2", "slice_3"]), "old", "new")
    return data


def test_shares_are_those_of_the_spots(adata):
    adata.obs.loc[adata.obs_names[:30], "domain"] = None
    sps.tl.composition(adata, "domain")
    table = sps.get.composition(adata).set_index(["sample", "category"])
    for name, rows in adata.obs.groupby("slice", observed=True):
        for domain, count in rows["domain"].value_counts().items():
            assert table.loc[(name, domain), "n_spots"] == count
            assert table.loc[(name, domain), "proportion"] == count / rows["domain"].notna().sum()


def test_tests_are_t_tests_of_centred_log_ratios(adata, tmp_path):
    sps.tl.composition(adata, "domain", condition="condition", groups=("new", "old"))
    tests = sps.get.composition(adata, tests=True).set_index("category")
    counts = pd.crosstab(adata.obs["slice"], adata.obs["domain"]) + 0.5
    ratios = np.log2(counts).sub(np.log2(counts).mean(axis=1), axis=0)
    old, new = ratios.iloc[:3], ratios.iloc[3:]
    for domain in counts.columns:
        expected = stats.ttest_ind(new[domain], old[domain])
        assert tests.loc[domain, "p_value"] == pytest.approx(expected.pvalue)
        assert tests.loc[domain, "log2_ratio"] == pytest.approx(new[domain].mean() - old[domain].mean())
    np.testing.assert_allclose(tests["p_adjusted"], stats.false_discovery_control(tests["p_value"]))
    adata.write_h5ad(tmp_path / "a.h5ad")


def test_a_grown_domain_is_found_and_others_do_not_follow(adata):
    grown = ((adata.obs["condition"] == "new") & (adata.obs["domain"] == "layer_2")).to_numpy()
    rows = np.concatenate([np.arange(adata.n_obs), *[np.flatnonzero(grown)] * 4])
    more = anndata.AnnData(obs=adata.obs.iloc[rows].set_axis(np.arange(len(rows)).astype(str)))
    sps.tl.composition(more, "domain", condition="condition", groups=("new", "old"))
    tests = sps.get.composition(more, tests=True).set_index("category")
    assert tests["p_value"].idxmin() == "layer_2" and tests.loc["layer_2", "p_adjusted"] < 0.05
    assert tests.loc["layer_2", "log2_ratio"] > 1


def test_shares_of_one_column_in_another(adata):
    adata.obs["type"] = np.where(np.arange(adata.n_obs) % 3 == 0, "a", "b")
    sps.tl.composition(adata, "type", "domain")
    assert len(sps.get.composition(adata)) == 8
    with pytest.raises(KeyError, match="with `condition`"):
        sps.get.composition(adata, tests=True)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"key": "nothing"}, KeyError, "`key` is 'nothing'"),
        ({"sample_key": "nothing"}, KeyError, "`sample_key` is 'nothing'"),
        ({"condition": "slice"}, ValueError, "has 6 conditions"),
        ({"condition": "condition", "sample_key": "domain"}, ValueError, "has several conditions"),
        ({"condition": "condition", "groups": ("old", "old")}, ValueError, "two conditions"),
        ({"groups": ("old", "new")}, ValueError, "`condition` is None"),
        ({"condition": "slice", "groups": ("slice_1", "slice_2")}, ValueError, "has 1 sample"),
        ({"key_added": ""}, TypeError, "key_added"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_arguments_are_refused(adata, arguments, error, message):
    with pytest.raises(error, match=message):
        sps.tl.composition(adata, **{"key": "domain"} | arguments)
    assert "composition" not in adata.uns
