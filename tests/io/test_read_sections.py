import anndata
import numpy as np
import pytest

from spotscape.datasets import synthetic_tissue
from spotscape.io import _anndata_files, _read_sections, read_sections


@pytest.fixture
def files(tmp_path):
    adata = synthetic_tissue(n_slices=2, n_spots=40, n_genes=50, n_domains=2, seed=0)
    paths = []
    for i, (name, genes) in enumerate((("slice_1", slice(0, 40)), ("slice_2", slice(10, 50)))):
        section = adata[adata.obs["slice"] == name, genes].copy()
        section.obs_names = [f"spot{j}" for j in range(section.n_obs)]
        paths.append(tmp_path / f"section{i}.h5ad")
        section.write_h5ad(paths[-1])
    return adata, paths


def test_sections_are_joined_on_common_genes(files):
    adata, paths = files
    joined = read_sections(paths)
    assert joined.shape == (80, 30) and joined.obs_names.is_unique and not joined.obsp
    np.testing.assert_array_equal(joined.layers["counts"].toarray(), adata.layers["counts"][:, 10:40].toarray())
    assert list(joined.obs["slice"].cat.categories) == ["slice_1", "slice_2"]


def test_a_single_file_is_unchanged_and_files_without_slices_give_their_name(files):
    _, paths = files
    assert read_sections(paths[:1]).shape == (40, 40)
    joined = read_sections(paths, slice_key="section")
    assert set(joined.obs["section"]) == {"section0", "section1"}


def as_zarr(paths):
    folders = [path.with_suffix(".zarr") for path in paths]
    for path, folder in zip(paths, folders, strict=True):
        anndata.read_h5ad(path).write_zarr(folder)
    return folders


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize(("storage", "n_files", "chunk"), [("h5ad", 1, 1 << 23), ("zarr", 2, 1 << 23), ("both", 2, 1)])
def test_lazy_sections_equal_those_in_memory(files, storage, n_files, chunk, monkeypatch):
    monkeypatch.setattr(_anndata_files, "_N_ENTRIES_CHUNK", chunk)
    monkeypatch.setattr(_anndata_files, "_MIN_SPOTS_CHUNK", 7)
    paths = files[1][:n_files]
    folders = as_zarr(paths)
    wanted = {"h5ad": paths, "zarr": folders, "both": [paths[0], *folders[1:]]}[storage]
    lazy, loaded = read_sections(wanted, lazy=True), read_sections(paths)
    np.testing.assert_array_equal(read_sections(wanted).X.toarray(), loaded.X.toarray())
    for found, expected in ((lazy.X, loaded.X), (lazy.layers["counts"], loaded.layers["counts"])):
        assert len(found.chunks[0]) == n_files * (1 if chunk > 1 else 6)
        np.testing.assert_array_equal(found.compute().toarray(), expected.toarray())
    assert lazy.obs.equals(loaded.obs) and lazy.var.equals(loaded.var) and not lazy.obsp
    np.testing.assert_array_equal(lazy.obsm["spatial"], loaded.obsm["spatial"])
    assert lazy.uns.keys() == loaded.uns.keys()


def test_lazy_reading_without_dask_names_the_extra(files, monkeypatch):
    monkeypatch.setattr(_read_sections, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"spotscape\[lazy\]"):
        read_sections(files[1], lazy=True)


def test_bad_files_are_refused(files, tmp_path):
    _, paths = files
    with pytest.raises(FileNotFoundError, match="no file .*none.h5ad"):
        read_sections([tmp_path / "none.h5ad"])
    with pytest.raises(ValueError, match="'slice_1' is in more than one file"):
        read_sections([paths[0], paths[0]])
    other = synthetic_tissue(n_slices=1, n_spots=40, n_genes=50, n_domains=2, seed=0)
    other.var_names = [f"other{i}" for i in range(50)]
    other.obs["slice"] = "elsewhere"
    other.write_h5ad(tmp_path / "other.h5ad")
    other.var_names = ["twice"] * 2 + list(other.var_names[2:])
    other.write_h5ad(tmp_path / "twice.h5ad")
    with (
        pytest.warns(UserWarning, match="Variable names are not unique"),
        pytest.raises(ValueError, match="has the gene 'twice' more than once"),
    ):
        read_sections([tmp_path / "twice.h5ad"])
    with pytest.raises(ValueError, match="no gene in common"):
        read_sections([paths[0], tmp_path / "other.h5ad"])
