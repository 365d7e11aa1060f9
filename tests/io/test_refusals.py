"""What cannot be read is refused in one sentence that says what it is and what helps."""

import gzip
import zipfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
import zarr

from spotscape.io import read_sections


def text(path):
    path.write_text("a,b\n1,2\n")


def empty(path):
    path.touch()


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("outs/filtered_feature_bc_matrix.h5", "x")


def hdf5(*groups):
    def write(path):
        with h5py.File(path, "w") as file:
            for group in groups:
                file.create_group(group)

    return write


def truncated(path):
    hdf5("obs", "var")(path)
    path.write_bytes(path.read_bytes()[:600])


def packed(path):
    path.write_bytes(gzip.compress(b"no AnnData"))


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("counts.csv", text, "is a table on its own; pass the folder"),
        ("notes.txt", text, "is a table on its own; pass the folder"),
        ("seurat.rds", text, "is an R object; in R, write it"),
        ("a.loom", text, "is no HDF5 file in spite of its name"),
        ("a.loom", hdf5("row_attrs", "col_attrs"), "is a loom file; .*read_loom"),
        ("outs.zip", archive, "is an archive; unpack it"),
        ("store.zarr.zip", archive, "is a packed zarr store; unpack it"),
        ("chip.gef", hdf5("geneExp"), "is Stereo-seq output .*saw convert gef2h5ad"),
        ("chip.gem.gz", packed, "is Stereo-seq output .*saw convert gef2h5ad"),
        ("slide.tif", text, "is an image; pass"),
        ("a.h5ad", text, "is no HDF5 file in spite of its name; it is damaged"),
        ("a.h5ad", empty, "is empty; copy"),
        ("a.h5", hdf5("weights"), "is an HDF5 file with 'weights', neither AnnData"),
        ("a.h5ad", truncated, "looks like an HDF5 file, but it cannot be read"),
        ("a.h5ad.gz", packed, "looks like a packed AnnData file, but it cannot be read"),
        ("a.h5mu", hdf5("mod", "obs"), "looks like a MuData file|has no modalities"),
        ("matrix.h5", hdf5("matrix"), "has no positions beside it"),
        ("a.unknown", text, "is of a format that is not read here; what is read is AnnData"),
    ],
)
def test_files_that_are_no_sections(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=message) as caught:
        read_sections(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "is an empty folder"),
        (["readme.md"], "is a folder with 'readme.md', no section"),
        (["spatial/tissue_positions.csv"], "has a folder `spatial` but no matrix"),
        (["tissue_positions.csv"], "has positions but no matrix; pass the folder above it"),
        (["segmented_outputs/a.h5"], "only bins are read"),
        (["cell_by_gene.csv"], "has no cell_metadata.csv; put it"),
        (["S_metadata_file.csv"], "has no exprMat_file.csv; put it"),
        (["cell_feature_matrix.h5"], "has no cells.parquet or cells.csv.gz; put it"),
        (["A_exprMat_file.csv", "B_exprMat_file.csv"], "has 2 files of one kind"),
        (["binned_outputs/square_002um/a.txt"], "has no matrix"),
        (["binned_outputs/a.txt"], "has no bins"),
    ],
)
def test_folders_that_are_no_sections(tmp_path, files, message):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        text(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        read_sections(tmp_path)


def test_zarr_stores_that_are_no_sections(tmp_path):
    zarr.open_group(tmp_path / "a.zarr", mode="w").create_group("scores")
    with pytest.raises(ValueError, match="a zarr store with 'scores', neither AnnData"):
        read_sections(tmp_path / "a.zarr")
    (tmp_path / "b.zarr").mkdir()
    text(tmp_path / "b.zarr" / "x")
    with pytest.raises(ValueError, match="no zarr store in spite of its name"):
        read_sections(tmp_path / "b.zarr")


def test_a_folder_of_sections_says_how_to_pass_them(tmp_path):
    for name in ("a.h5ad", "b.h5ad"):
        anndata.AnnData(np.ones((3, 2), dtype=np.float32)).write_h5ad(tmp_path / name)
    with pytest.raises(ValueError, match=r"a folder with 2 section\(s\) in it; .*a\.h5ad', '.*b\.h5ad'"):
        read_sections(tmp_path)


def test_arguments_that_are_no_paths(tmp_path, monkeypatch):
    anndata.AnnData(np.ones((3, 2), dtype=np.float32)).write_h5ad(tmp_path / "a.h5ad")
    monkeypatch.setenv("HOME", str(tmp_path))
    for paths in ("~/a.h5ad", Path("~/a.h5ad"), [Path("~/a.h5ad")], iter(["~/a.h5ad"])):
        assert read_sections(paths).shape == (3, 2)
    for wrong, error, message in (
        ([], ValueError, "without a path"),
        ("", ValueError, "empty text"),
        ("~/none.h5ad", FileNotFoundError, "There is no file ~/none.h5ad"),
        ("~/*.h5ad", FileNotFoundError, "list the files that fit it"),
        ("~nobody-here/a.h5ad", FileNotFoundError, "There is no file"),
        (["~/a.h5ad", tmp_path / "a.h5ad"], ValueError, "Slice 'a' is in .*a.h5ad and in .*a.h5ad; give"),
        ("https://example.org/a.h5ad", ValueError, "download it"),
        ({"a": "a.h5ad"}, TypeError, "dict.*pass one path"),
        (anndata.AnnData(np.ones((3, 2))), TypeError, r"\(AnnData\); pass one path"),
        (None, TypeError, "`paths` is None"),
        ([3], TypeError, r"contains 3 \(int\)"),
        (b"a.h5ad", TypeError, "bytes"),
    ):
        with pytest.raises(error, match=message):
            read_sections(wrong)
    for argument in ({"table": "rna"}, {"bin_size": 8}, {"join": "left"}):
        with pytest.raises(ValueError, match=f"`{next(iter(argument))}` is"):
            read_sections("~/a.h5ad", **argument)
