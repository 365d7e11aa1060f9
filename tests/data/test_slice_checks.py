"""What set-up notices in each slice, and keeps."""

import warnings

import numpy as np
import pandas as pd
import pytest

import spotscape as sps


def tissue(n_slices=2, **kwargs):
    return sps.datasets.synthetic_tissue(**({"n_spots": 150, "n_genes": 60, "seed": 0} | kwargs), n_slices=n_slices)


def warnings_of_setup(adata, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sps.SPOTSCAPE.setup_anndata(adata, layer="counts", **kwargs)
    return [str(each.message) for each in caught if each.category is UserWarning]


def without_genes(adata, slice_name, genes):
    counts = adata.layers["counts"].toarray()
    counts[np.ix_((adata.obs["slice"] == slice_name).to_numpy(), genes)] = 0
    adata.layers["counts"] = counts
    return adata


@pytest.mark.parametrize("n_genes", [3, 18, 45])
def test_the_advice_about_genes_can_be_followed(n_genes):
    adata = without_genes(tissue(3), "slice_3", np.arange(n_genes))
    with pytest.raises(ValueError, match=r"'slice_3'.*measured_genes\(adata, 'slice', layer='counts'\)"):
        sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    measured = sps.pp.measured_genes(adata, "slice", layer="counts")
    assert measured.sum() == 60 - n_genes
    assert not warnings_of_setup(adata[:, measured].copy(), slice_key="slice")


def test_rare_genes_of_one_slice_are_no_panel():
    adata = tissue()
    counts = adata.layers["counts"].toarray()
    counts[:, :6] = 0
    counts[np.ix_(np.arange(9), np.arange(6))] = 1
    adata.layers["counts"] = counts
    assert not warnings_of_setup(adata, slice_key="slice")
    assert sps.pp.measured_genes(adata, "slice", layer="counts").all()


def test_new_sections_are_checked_slice_by_slice():
    adata, query = tissue(seed=1), without_genes(tissue(), "slice_2", np.arange(20))
    sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = sps.SPOTSCAPE(adata, n_hidden=8, n_latent=4)
    model.train(max_epochs=1, enable_progress_bar=False)
    with pytest.raises(ValueError, match="'slice_2'"):
        model.get_latent_representation(query)


def shifted(adata, by):
    adata.obsm["spatial"] = adata.obsm["spatial"] + by
    return adata


def sections(shift, column, values, seed=0):
    """Two sections whose coordinates overlap, and a column that tells them apart."""
    adata = tissue(seed=seed)
    second = (adata.obs["slice"] == "slice_2").to_numpy()
    first_row = adata.obsm["spatial"][~second].min(axis=0) - adata.obsm["spatial"][second].min(axis=0)
    adata.obsm["spatial"][second] += first_row + shift
    adata.obs = pd.DataFrame({column: np.where(second, values[1], values[0])}, index=adata.obs_names)
    return adata


@pytest.mark.parametrize("column", ["library_id", "sample", "orig.ident", "Donor"])
@pytest.mark.parametrize("values", [("A", "B"), (0, 1), (True, False)])
def test_sections_on_top_of_each_other_are_noticed(column, values):
    found = warnings_of_setup(sections([13.0, 29.0], column, values))
    assert len(found) == 1
    assert f"slice_key={column!r}" in found[0]


def test_sections_in_a_slice_that_a_reader_named_are_noticed(tmp_path):
    adata = sections([13.0, 29.0], "library_id", (1.0, 2.0))
    adata.write_h5ad(tmp_path / "both.h5ad")
    adata = sps.io.read_sections(tmp_path / "both.h5ad")
    (found,) = warnings_of_setup(adata, slice_key="slice")
    assert "in slice 'both'" in found and "slice_key='library_id'" in found
    assert not warnings_of_setup(adata, slice_key="library_id")


def test_columns_that_agree_with_the_slices_are_not_noticed():
    adata = sections([13.0, 29.0], "slice", ("a", "b"))
    adata.obs["donor"] = adata.obs["slice"].map({"a": "x", "b": "y"})
    adata.obs["batch"] = "one"
    assert not warnings_of_setup(adata, slice_key="slice")


def lattice(n=20):
    rows, columns = np.divmod(np.arange(n * n), n)
    return np.column_stack([columns + 0.5 * (rows % 2), rows * np.sqrt(0.75)]) * 100


def test_lattices_are_noticed_whatever_the_column_is_named():
    positions = lattice()
    adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=800, n_genes=40, seed=0)
    adata.obs = pd.DataFrame({"where": np.repeat(["left", "right"], 400)}, index=adata.obs_names)
    adata.obsm["spatial"] = np.vstack([positions, positions + [31.0, 17.0]])
    assert "slice_key='where'" in warnings_of_setup(adata)[0]


def test_columns_of_one_section_are_not_taken_for_slices():
    adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=400, n_genes=40, seed=0)
    rows, columns = np.divmod(np.arange(400), 20)
    rng = np.random.default_rng(0)
    adata.obsm["spatial"] = lattice()
    adata.obs = adata.obs.assign(
        array_row=rows, array_col=2 * columns + rows % 2, cell_type=rng.choice(list("abc"), 400), half=columns // 10,
        parity=columns % 2, sample="one", total=rng.random(400), name=adata.obs_names,
    )  # fmt: skip
    assert not warnings_of_setup(adata)


def test_sections_side_by_side_are_not_woven():
    assert not warnings_of_setup(sections([1e5, 0.0], "sample", ("A", "B")))


def test_findings_are_kept_and_saved(tmp_path):
    adata = tissue()
    adata.layers["counts"] = adata.layers["counts"] * 0.9
    sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice", values="normalized")
    assert len(sps.SPOTSCAPE(adata).get_data_findings()) == 0
    with pytest.warns(UserWarning, match="corrected"):
        sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = sps.SPOTSCAPE(adata, n_hidden=8, n_latent=4)
    model.train(max_epochs=1, enable_progress_bar=False)
    found = model.get_data_findings()
    assert found["finding"].tolist() == ["expression"]
    model.save(tmp_path / "model")
    loaded = sps.SPOTSCAPE.load(tmp_path / "model", adata=False)
    pd.testing.assert_frame_equal(loaded.get_data_findings(), found)
    query = tissue(n_slices=1, seed=3)
    assert len(loaded.get_data_findings(query)) == 0


NAMES = {
    "integers": [1, 2],
    "numbers": [1.0, 2.5],
    "truth values": [True, False],
    "dates": list(pd.to_datetime(["2020-01-01 00:00", "2021-03-01 12:30"])),
    "intervals": pd.interval_range(0, 2).tolist(),
    "mixed": [1, "B"],
    "text": ["x", "y"],
    "periods": list(pd.period_range("2020", periods=2, freq="M")),
}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("categorical", [False, True])
def test_slices_are_named_by_text(kind, categorical, tmp_path):
    adata, query = tissue(n_spots=60), tissue(n_spots=60, seed=2)
    codes = (adata.obs["slice"] == "slice_2").to_numpy().astype(int)
    for data, names in ((adata, NAMES[kind]), (query, [NAMES[kind][0], "new"])):
        column = pd.Series([names[code] for code in codes], index=data.obs_names)
        data.obs["slice"] = column.astype("category") if categorical else column
    sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = sps.SPOTSCAPE(adata, n_hidden=8, n_latent=4)
    model.train(max_epochs=1, enable_progress_bar=False)
    model.save(tmp_path / "model")
    loaded = sps.SPOTSCAPE.load(tmp_path / "model", adata=adata)
    np.testing.assert_array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    novelty = loaded.get_slice_novelty(query)
    assert "new" in novelty.index and novelty.index.map(type).unique().tolist() == [str]


def test_numbers_are_one_slice_however_they_are_stored():
    adata, query = tissue(n_spots=60), tissue(n_spots=60, seed=2)
    for data, names in ((adata, [1, 2]), (query, ["1", 2.0])):
        data.obs["slice"] = [names[code] for code in (data.obs["slice"] == "slice_2").to_numpy().astype(int)]
    sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = sps.SPOTSCAPE(adata, n_hidden=8, n_latent=4)
    model.train(max_epochs=1, enable_progress_bar=False)
    assert sorted(model.get_slice_novelty(query).index) == ["1", "2"]


@pytest.mark.parametrize("train", ["array", "frame"])
@pytest.mark.parametrize("container", ["array", "frame", "other names", "three axes", "integers", "Fortran order"])
def test_only_the_values_of_coordinates_matter(train, container):
    def stored(values, kind, names):
        return {
            "array": lambda: values,
            "frame": lambda: pd.DataFrame(values, columns=["x", "y"], index=names),
            "other names": lambda: pd.DataFrame(values, columns=["pxl_col", "pxl_row"], index=names),
            "three axes": lambda: np.column_stack([values, np.zeros(len(values))]),
            "integers": lambda: np.rint(values).astype(int),
            "Fortran order": lambda: np.asfortranarray(values),
        }[kind]()

    adata, query = tissue(), tissue(seed=1)
    query.obsm["spatial"] = np.rint(query.obsm["spatial"])
    adata.obsm["spatial"] = stored(adata.obsm["spatial"], train, adata.obs_names)
    sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = sps.SPOTSCAPE(adata, n_hidden=8, n_latent=4)
    model.train(max_epochs=1, enable_progress_bar=False)
    expected = model.get_latent_representation(query.copy())
    query.obsm["spatial"] = stored(query.obsm["spatial"], container, query.obs_names)
    np.testing.assert_allclose(model.get_latent_representation(query), expected, atol=1e-5)
