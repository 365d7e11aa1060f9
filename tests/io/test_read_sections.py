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
    with pytest.warns(UserWarning, match="20 of 50 genes are not in all 2 files and are left out"):
        joined = read_sections(paths)
    assert joined.shape == (80, 30) and joined.obs_names.is_unique and not joined.obsp
    np.testing.assert_array_equal(joined.layers["counts"].toarray(), adata.layers["counts"][:, 10:40].toarray())
    assert list(joined.obs["slice"].cat.categories) == ["slice_1", "slice_2"]


def test_a_single_file_is_unchanged_and_files_without_slices_give_their_name(files):
    _, paths = files
    for one in (paths[:1], paths[0], str(paths[0])):
        assert read_sections(one).shape == (40, 40)
    for path in paths:
        section = anndata.read_h5ad(path)[:, "gene_11":"gene_40"].copy()
        del section.obs["slice"]
        section.write_h5ad(path)
    assert set(read_sections(paths).obs["slice"]) == {"section0", "section1"}


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (["A/adata.h5ad", "B/adata.h5ad"], ["A", "B"]),
        (["A/x/adata.h5ad", "B/x/adata.h5ad", "c.h5ad"], ["A", "B", "c"]),
        (["A/one.h5ad", "A/two.h5ad", "B/one.h5ad", "B/two.h5ad"], ["A_one", "A_two", "B_one", "B_two"]),
        (["A/outs/adata.h5ad", "B/outs/adata.h5ad"], ["A", "B"]),
        (["A.1.h5ad", "A.2.h5ad"], ["A.1", "A.2"]),
    ],
)
def test_files_of_one_name_are_told_apart_by_their_folders(files, tmp_path, places, names):
    section = anndata.read_h5ad(files[1][0])
    del section.obs["slice"]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        section.write_h5ad(tmp_path / place)
    joined = read_sections([tmp_path / place for place in places])
    assert list(joined.obs["slice"].cat.categories) == names


def test_a_named_slice_key_must_be_in_all_files(files):
    _, paths = files
    with pytest.raises(KeyError, match="'section', which is in no file .*pass one of .*'domain'"):
        read_sections(paths, slice_key="section")
    section = anndata.read_h5ad(paths[1])
    section.obs["section"] = "b"
    section.write_h5ad(paths[1])
    with pytest.raises(KeyError, match=r"1 of 2 files lack \(.*section0.h5ad\)"):
        read_sections(paths, slice_key="section")
    assert "slice" in read_sections(paths[1], slice_key="section").obs


def as_zarr(paths):
    folders = [path.with_suffix(".zarr") for path in paths]
    for path, folder in zip(paths, folders, strict=True):
        anndata.read_h5ad(path).write_zarr(folder)
    return folders


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.filterwarnings("ignore:20 of 50 genes")
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
    with pytest.raises(ValueError, match="Slice 'slice_1' is in .* and in "):
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
