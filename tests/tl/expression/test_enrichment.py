"""Over-representation against Fisher's test, planted and random sets, and GMT files."""

import numpy as np
import pytest
from scipy import stats

import spotscape as sps
from spotscape.tl.expression._gene_sets import read_gene_sets


@pytest.fixture(scope="module")
def tissue():
    adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=300, n_genes=200, n_domains=4, seed=0)
    sps.tl.markers(adata, "domain")
    return adata


@pytest.fixture
def adata(tissue):
    return tissue.copy()


def sets_of(adata):
    rng = np.random.default_rng(1)
    sets = {name: list(rows) for name, rows in adata.var_names.groupby(adata.var["marker_of"].astype(str)).items()}
    sets.pop("nan")
    return sets | {f"random_{i}": list(rng.choice(adata.var_names, 20, replace=False)) for i in range(10)}


def write_gmt(path, sets):
    path.write_text("".join("\t".join([name, "made up", *genes]) + "\n" for name, genes in sets.items()))
    return path


def test_planted_sets_are_found_and_random_ones_are_not(adata, tmp_path):
    sets = sets_of(adata)
    sps.tl.enrichment(adata, write_gmt(tmp_path / "sets.gmt", sets))
    for domain in adata.obs["domain"].cat.categories:
        table = sps.get.enrichment(adata, domain)
        assert table["gene_set"][0] == domain and table["p_adjusted"][0] < 0.05
        assert (table["p_adjusted"][table["gene_set"].astype(str).str.startswith("random")] > 0.05).all()
    adata.write_h5ad(tmp_path / "a.h5ad")


def test_p_values_are_those_of_fisher_on_tested_genes(adata):
    sets = sets_of(adata) | {"elsewhere": ["not measured", *adata.var_names[:9]]}
    sps.tl.enrichment(adata, sets, domain="layer_1", min_log2_fold_change=0.3)
    chosen = set(sps.get.markers(adata, "layer_1", max_p_adjusted=0.05, min_log2_fold_change=0.3)["gene"])
    for row in sps.get.enrichment(adata).itertuples():
        members = set(sets[row.gene_set]) & set(adata.var_names)
        k = len(members & chosen)
        cells = [[k, len(chosen) - k], [len(members) - k, adata.n_vars - len(chosen) - len(members) + k]]
        assert row.overlap == k and row.size == len(members)
        assert row.p_value == pytest.approx(stats.fisher_exact(cells, alternative="greater").pvalue)
        assert set(filter(None, row.genes.split(","))) == members & chosen


def test_genes_can_be_given_and_the_background_is_what_was_measured(adata):
    sps.tl.enrichment(adata, sets_of(adata), genes=adata.var_names[adata.var["marker_of"] == "patch_1"])
    table = sps.get.enrichment(adata)
    assert table["gene_set"][0] == "patch_1" and set(table["domain"]) == {"genes"}
    with pytest.raises(ValueError, match="'nowhere' and 0 more"):
        sps.tl.enrichment(adata, sets_of(adata), genes=["nowhere"])


def test_lowered_genes(adata):
    table = sps.tl.enrichment(adata, sets_of(adata), direction="down", copy=True).uns["enrichment"]["table"]
    first = table[table["domain"] == "layer_1"]
    assert first[first["gene_set"] == "layer_1"]["overlap"].item() == 0 and "enrichment" not in adata.uns


def test_ranked_sets(adata):
    pytest.importorskip("decoupler", reason="needs the extra spotscape[enrichment]")
    sps.tl.enrichment(adata, sets_of(adata), method="ranked")
    for domain in adata.obs["domain"].cat.categories:
        table = sps.get.enrichment(adata, domain).sort_values("score", ascending=False, ignore_index=True)
        assert table["gene_set"][0] == domain and table["p_adjusted"][0] < 0.05
        random = table[table["gene_set"].astype(str).str.startswith("random")]
        assert (random["p_adjusted"] < 0.05).mean() <= 0.2


def test_ranked_sets_without_decoupler_name_the_extra(adata, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "decoupler.mt", None)
    with pytest.raises(ImportError, match=r"spotscape\[enrichment\]"):
        sps.tl.enrichment(adata, sets_of(adata), method="ranked")


def test_the_overlap_has_the_null_distribution_of_random_lists(adata):
    """One in twenty random lists at most is enriched at .05; the test is discrete, so it is fewer."""
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(40):
        chosen = rng.choice(adata.var_names, 40, replace=False)
        sps.tl.enrichment(adata, sets_of(adata), genes=chosen)
        p_values.append(sps.get.enrichment(adata)["p_value"])
    assert 0.005 < np.mean(np.concatenate(p_values) < 0.05) < 0.06


def test_gmt_files_are_read(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("one\thttp://x\ta\tb\ta\n\ntwo\t\tc\td\t\n")
    assert read_gene_sets(path) == read_gene_sets(str(path)) == {"one": ["a", "b"], "two": ["c", "d"]}
    path.write_text("one\tx\ta\none\tx\tb\n")
    with pytest.raises(ValueError, match="Line 2 of .* 'one' again"):
        read_gene_sets(path)
    path.write_text("one,x,a\n")
    with pytest.raises(ValueError, match="Line 1 of .* has 1 field"):
        read_gene_sets(path)
    path.write_text("\n")
    with pytest.raises(ValueError, match="no gene set"):
        read_gene_sets(path)
    with pytest.raises(FileNotFoundError, match="which is no file"):
        read_gene_sets(tmp_path / "other.gmt")
