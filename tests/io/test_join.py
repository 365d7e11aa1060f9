"""Joining files: what is kept, what is left out with a word, and what is refused."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spotscape.io import read_sections

N_SPOTS, N_GENES = 30, 8


def make(seed, genes=None):
    genes = [f"gene{i}" for i in range(N_GENES)] if genes is None else genes
    rng = np.random.default_rng(seed)
    adata = anndata.AnnData(
        sparse.csr_matrix(rng.poisson(3, (N_SPOTS, len(genes))).astype(np.float32)),
        obs=pd.DataFrame(index=[f"spot{i}" for i in range(N_SPOTS)]),
        var=pd.DataFrame(index=genes),
    )
    adata.obsm["spatial"] = rng.random((N_SPOTS, 2))
    return adata


@pytest.fixture
def read(tmp_path):
    """Write sections as a.h5ad, b.h5ad, ..., and join them."""

    def write_and_read(*adatas, **options):
        paths = [tmp_path / f"{name}.h5ad" for name in "abcd"[: len(adatas)]]
        for adata, path in zip(adatas, paths, strict=True):
            adata.write_h5ad(path)
        joined = read_sections(paths, **options)
        # Whatever is joined can be written.
        joined.write_h5ad(tmp_path / "joined.h5ad") if not options.get("lazy") else None
        return joined

    return write_and_read


def image(value):
    return {"images": {"hires": np.full((4, 4, 3), value, np.uint8)}, "scalefactors": {"tissue_hires_scalef": 1.0}}


def test_images_of_all_slices_are_kept(read):
    one, two = make(0), make(1)
    one.uns["spatial"], two.uns["spatial"] = {"library": image(1)}, {"library": image(2)}
    joined = read(one, two)
    assert [joined.uns["spatial"][name]["images"]["hires"][0, 0, 0] for name in "ab"] == [1, 2]
    assert joined.uns["spatial"]["b"]["scalefactors"]["tissue_hires_scalef"] == 1
    # A file with two slices on one image gives it to both.
    two.obs["slice"] = ["left"] * 10 + ["right"] * 20
    joined = read(one, two)
    assert set(joined.uns["spatial"]) == {"a", "left", "right"}


@pytest.mark.parametrize("lazy", [False, True])
def test_what_one_file_lacks_is_named(read, lazy):
    one, two = make(0), make(1)
    two.layers["counts"] = two.X.copy()
    two.obsm["X_pca"] = np.ones((N_SPOTS, 3))
    two.varm["PCs"] = np.ones((N_GENES, 3))
    message = r"`layers\['counts'\]` \(not in .*a.h5ad\), `obsm\['X_pca'\]` \(not in .*a.h5ad\), `varm\['PCs'\]`"
    with pytest.warns(UserWarning, match=message):
        joined = read(one, two, lazy=lazy)
    assert not joined.layers and list(joined.obsm) == ["spatial"]


def test_representations_of_different_widths_are_left_out(read):
    one, two = make(0), make(1)
    one.obsm["X_pca"], two.obsm["X_pca"] = np.ones((N_SPOTS, 3)), np.ones((N_SPOTS, 2))
    with pytest.warns(UserWarning, match=r"`obsm\['X_pca'\]` \(of different widths: 3, 2\)"):
        assert "X_pca" not in read(one, two).obsm


def test_columns_that_one_file_lacks_have_missing_values(read):
    one, two = make(0), make(1)
    one.obs["layer"] = pd.Categorical(["L1"] * 10 + ["L2"] * 20)
    one.obs["kept"], one.obs["n"], one.obs["note"] = True, 3, "text"
    with pytest.warns(UserWarning, match=r"missing for the spots of some files: 'layer' \(not in .*b.h5ad\), 'kept'"):
        joined = read(one, two)
    assert joined.obs["layer"].isna().sum() == N_SPOTS and list(joined.obs["layer"].cat.categories) == ["L1", "L2"]
    assert joined.obs["kept"].dtype == "boolean" and joined.obs["n"].dtype == float


def test_categories_and_colours_are_joined(read):
    one, two = make(0), make(1)
    one.obs["cluster"] = pd.Categorical(["x", "y"] * 15)
    two.obs["cluster"] = pd.Categorical(["z", "x"] * 15, ["z", "x"])
    one.uns["cluster_colors"], two.uns["cluster_colors"] = ["#ff0000", "#00ff00"], ["#0000ff", "#ffffff"]
    joined = read(one, two)
    assert list(joined.obs["cluster"].cat.categories) == ["x", "y", "z"]
    assert list(joined.uns["cluster_colors"]) == ["#ff0000", "#00ff00", "#0000ff"]
    assert list(joined.obs["cluster"]) == ["x", "y"] * 15 + ["z", "x"] * 15


def test_columns_of_different_types_become_text(read):
    one, two = make(0), make(1)
    one.obs["flag"], two.obs["flag"] = True, 2
    one.obs["name"], two.obs["name"] = one.obs_names, two.obs_names
    one.obs["batch"], two.obs["batch"] = 1, "second"
    with pytest.warns(UserWarning, match=r"text in one file and numbers in another become text: 'batch' .*a.h5ad"):
        joined = read(one, two)
    assert set(joined.obs["batch"]) == {"1", "second"} and set(joined.obs["flag"]) == {1.0, 2.0}
    assert list(joined.obs["name"]) == [*one.obs_names, *two.obs_names]


def test_entries_of_uns_are_kept_if_they_agree(read):
    one, two = make(0), make(1)
    one.uns |= {"same": {"k": [1, 2]}, "only": "here", "differs": 1}
    two.uns |= {"same": {"k": [1, 2]}, "differs": 2}
    with pytest.warns(UserWarning, match=r"`uns` that differ between .* are left out: 'differs'"):
        joined = read(one, two)
    assert set(joined.uns) == {"same", "only"}


def test_columns_of_genes_are_kept_if_they_agree(read):
    one, two = make(0), make(1, [f"gene{i}" for i in range(2, 10)])
    one.var["gene_ids"], two.var["gene_ids"] = [f"id{i}" for i in range(8)], [f"id{i}" for i in range(2, 10)]
    one.var["mean"], two.var["mean"] = 1.0, 2.0
    one.var["panel"], one.var["marker"] = "first", True
    with pytest.warns(UserWarning) as caught:
        joined = read(one, two, join="outer")
    texts = " ".join(str(warning.message) for warning in caught)
    assert "`var` that differ" in texts and "'mean'" in texts and "4 of 10 genes" in texts
    assert list(joined.var["gene_ids"]) == [f"id{i}" for i in range(10)]
    assert joined.var["panel"].isna().sum() == 2 and joined.var["marker"].dtype == "boolean"


def test_coordinates_must_be_in_all_files(read):
    one, two = make(0), make(1)
    two.obsm["xy"] = two.obsm.pop("spatial")
    with pytest.raises(ValueError, match=r"b.h5ad has no coordinates in `obsm\['spatial'\]` \(it has \['xy'\]\)"):
        read(one, two)


def test_coordinates_in_data_frames_become_arrays(read):
    one, two = make(0), make(1)
    expected = two.obsm["spatial"].copy()
    two.obsm["spatial"] = pd.DataFrame(expected, columns=["x", "y"], index=two.obs_names)
    joined = read(one, two)
    assert isinstance(joined.obsm["spatial"], np.ndarray)
    np.testing.assert_array_equal(joined.obsm["spatial"][N_SPOTS:], expected)
    assert isinstance(read(two).obsm["spatial"], np.ndarray)


def test_the_third_axis_is_kept_or_named(read):
    one, two = make(0), make(1)
    for adata in (one, two):
        adata.obsm["spatial"] = np.c_[adata.obsm["spatial"], np.arange(N_SPOTS)]
    np.testing.assert_array_equal(read(one, two).obsm["spatial"][:, 2], np.tile(np.arange(N_SPOTS), 2))
    one.obsm["spatial"] = one.obsm["spatial"][:, :2]
    with pytest.raises(ValueError, match="a.h5ad have 2 axes and those of .*b.h5ad have 3"):
        read(one, two)
    two.obsm["spatial"][:, 2] = 5
    with pytest.warns(UserWarning, match="b.h5ad have 3; the third axis, which is the same for all its spots"):
        assert read(one, two).obsm["spatial"].shape == (2 * N_SPOTS, 2)


@pytest.mark.parametrize("lazy", [False, True])
def test_outer_joins_say_which_slices_measured_which_genes(read, tmp_path, lazy):
    genes = [f"gene{i}" for i in range(4, 12)]
    one, two = make(0), make(1, genes)
    with pytest.warns(UserWarning, match=r"8 of 12 genes are not in all 2 files and are marked in `varm"):
        joined = read(one, two, join="outer", lazy=lazy)
    measured = joined.varm["measured"]
    assert list(measured.columns) == ["a", "b"] and measured.to_numpy().dtype == bool
    np.testing.assert_array_equal(measured["a"], joined.var_names.isin(one.var_names))
    np.testing.assert_array_equal(measured["b"], joined.var_names.isin(genes))
    for adata, rows in ((one, slice(None, N_SPOTS)), (two, slice(N_SPOTS, None))):
        part = joined[rows, adata.var_names].X
        part = part.compute() if lazy else part
        np.testing.assert_array_equal(part.toarray(), adata.X.toarray())
    if lazy:
        return
    # The marks outlive a file, and a further join.
    three = make(2, genes)
    three.write_h5ad(tmp_path / "three.h5ad")
    with pytest.warns(UserWarning, match="4 of 12 genes"):
        again = read_sections([tmp_path / "joined.h5ad", tmp_path / "three.h5ad"], join="outer")
    np.testing.assert_array_equal(again.varm["measured"]["a"], measured["a"])
    assert list(again.varm["measured"].columns) == ["a", "b", "three"]


def test_genes_marked_as_not_measured_stay_so(read):
    one, two = make(0), make(1)
    one.var["spotscape_measured"] = np.arange(N_GENES) > 2
    joined = read(one, two)
    assert joined.varm["measured"]["a"].tolist() == [False] * 3 + [True] * 5
    assert joined.varm["measured"]["b"].all() and "spotscape_measured" not in joined.var


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("GENE{}", "ENSG0000000000{}", "b.h5ad names its genes by identifiers .*a.h5ad by symbols"),
        ("ENSG0000000000{}.2", "ENSG0000000000{}", "with and without version numbers"),
        ("Gad{}", "GAD{}", "in different capitals, as those of human and mouse"),
        ("one{}", "other{}", "no gene in common"),
    ],
)
@pytest.mark.parametrize("join", ["inner", "outer"])
def test_genes_that_are_named_differently_are_refused(read, first, second, message, join):
    one, two = (make(0, [name.format(i) for i in range(N_GENES)]) for name in (first, second))
    with pytest.raises(ValueError, match=message):
        read(one, two, join=join)


def test_units_that_differ_are_named(read):
    one, two = make(0), make(1)
    one.uns["spatial_units"] = {"a": {"unit": "pixel", "micrometres_per_unit": 0.5}}
    two.uns["spatial_units"] = {"b": {"unit": "micrometre", "micrometres_per_unit": 1.0}}
    with pytest.warns(UserWarning, match=r"different units: pixel \(slice 'a'\), micrometre \(slice 'b'\)"):
        assert set(read(one, two).uns["spatial_units"]) == {"a", "b"}


def test_missing_expression_and_slices_are_refused(read):
    one, two = make(0), make(1)
    two.layers["counts"] = two.X
    two.X = None
    with pytest.raises(ValueError, match="b.h5ad has no expression in `X`"):
        read(one, two)
    two = make(1)
    two.obs["slice"] = pd.Categorical(["s"] * 29 + [None])
    with pytest.raises(ValueError, match="of .*b.h5ad is missing for 1 spots"):
        read(one, two)
