"""What is said of files and folders that cannot be read: what they are, and what helps."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from zlib import error as ZlibError

_FORMATS = (
    "AnnData (.h5ad, .h5ad.gz, .zarr), MuData (.h5mu), SpatialData (.zarr), a 10x matrix (.h5, .mtx) beside a table of "
    "positions, and the output folders of Space Ranger, Xenium, MERSCOPE and CosMx"
)
_TEXT = (
    "pass the folder if it belongs to the output of an instrument, or make an AnnData of it, with the coordinates in "
    "`obsm['spatial']`, and write it as .h5ad"
)
_R_OBJECT = "an R object", "in R, write it as .h5ad with `anndataR::write_h5ad` or `zellkonverter::writeH5AD`"
_ARCHIVE = "an archive", "unpack it, and pass the folder or the file in it"
_IMAGE = "an image", "pass the file with the expression, and the image to `pp.image_features(image=...)`"
_STEREO_SEQ = (
    "Stereo-seq output that Python libraries of today do not read",
    "convert it with `saw convert gef2h5ad` (`gem2h5ad` for .gem), or with `stereo.io.stereo_to_anndata` of stereopy, "
    "and pass the .h5ad file",
)
_LOOM = "a loom file", "read it with `anndata.io.read_loom`, set `obsm['spatial']`, and write it as .h5ad"
#: What files are, by the end of their name, and what helps.
_KNOWN = {
    (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz", ".parquet", ".xlsx"): ("a table on its own", _TEXT),
    (".mtx", ".mtx.gz"): ("a matrix without names", "pass its folder, with barcodes, features and a positions file"),
    (".rds", ".rda", ".rdata", ".qs", ".qs2"): _R_OBJECT,
    (".zarr.zip",): ("a packed zarr store", "unpack it, and pass the .zarr folder"),
    (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".7z", ".gz", ".bz2", ".xz"): _ARCHIVE,
    (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".btf", ".svs", ".ndpi"): _IMAGE,
    (".gef", ".gem", ".gem.gz", ".cgef"): _STEREO_SEQ,
    (".pkl", ".pickle", ".joblib", ".pt"): ("a Python object", "load it if you trust it, and write it as .h5ad"),
    (".h5ad", ".h5mu", ".h5", ".hdf5", ".loom", ".h5seurat"): (
        "no HDF5 file in spite of its name",
        "it is damaged or was not downloaded in full, so copy it again",
    ),
}
#: What HDF5 files of other programs hold at their top.
_HDF5 = (
    ({"geneExp"}, _STEREO_SEQ),
    ({"cellBin"}, _STEREO_SEQ),
    ({"exp_matrix"}, ("a file of stereopy's own", "convert it with `stereo.io.stereo_to_anndata` of stereopy")),
    ({"row_attrs", "col_attrs"}, _LOOM),
    ({"assays", "cell.names"}, ("an h5Seurat file", "in R, write it as .h5ad with `SeuratDisk::Convert` or anndataR")),
)
#: Errors of libraries on damaged or unexpected files.
_LIBRARY_ERRORS = (
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    ZlibError,
)


class UnreadableError(ValueError):
    """A file or folder cannot be read, for a reason that the message gives in one sentence."""


@contextmanager
def explained(path: Path, expected: str) -> Iterator[None]:
    """Turn an error of a library into one sentence with the path and the format that was expected."""
    try:
        yield
    except UnreadableError:
        raise
    except ImportError as error:
        # Ours name the extra, those of libraries do not.
        if "spotscape[" in str(error):
            raise
        raise ImportError(f"{path} needs a package that is not installed: {error}") from error
    except _LIBRARY_ERRORS as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise UnreadableError(
            f"{path} looks like {expected}, but it cannot be read ({type(error).__name__}: {reason}); check that it is "
            "complete."
        ) from error


def refuse_file(path: Path) -> NoReturn:
    """Raise for a file that is no HDF5 file."""
    name = path.name.lower()
    known = {suffix: reason for suffixes, reason in _KNOWN.items() for suffix in suffixes if name.endswith(suffix)}
    if known:
        # The longest end says most: `.gem.gz` more than `.gz`.
        what, help_ = known[max(known, key=len)]
        raise UnreadableError(f"{path} is {what}; {help_}.")
    raise UnreadableError(f"{path} is of a format that is not read here; what is read is {_FORMATS}.")


def refuse_hdf5(path: Path, keys: Collection[str]) -> NoReturn:
    """Raise for an HDF5 file that is neither AnnData, MuData nor a 10x matrix, with its entries."""
    for needed, (what, help_) in _HDF5:
        if needed <= set(keys):
            raise UnreadableError(f"{path} is {what}; {help_}.")
    raise UnreadableError(
        f"{path} is an HDF5 file with {_listed(keys)}, neither AnnData, MuData nor a 10x matrix; write it "
        "as .h5ad with the program that made it."
    )


def refuse_zarr(path: Path, keys: Collection[str]) -> NoReturn:
    """Raise for a zarr store that is neither AnnData nor SpatialData, with its entries."""
    raise UnreadableError(
        f"{path} is a zarr store with {_listed(keys)}, neither AnnData (`adata.write_zarr`) nor SpatialData "
        "(`sdata.write`); write it with one of them."
    )


def refuse_folder(path: Path, is_readable: Callable[[Path], bool]) -> NoReturn:
    """Raise for a folder, with what is in it and could be read."""
    with os.scandir(path) as entries:
        there = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    if not there:
        raise UnreadableError(f"{path} is an empty folder; pass a folder with a section, or its files.")
    readable = [name for name in there[:200] if is_readable(path / name)]
    if readable:
        raise UnreadableError(
            f"{path} is a folder with {len(readable)} section(s) in it; pass them themselves, as in "
            f"`read_sections({[str(path / name) for name in readable[:2]]})`."
        )
    if "segmented_outputs" in there:
        raise UnreadableError(
            f"{path} has cells (`segmented_outputs`) but no bins of Visium HD (`binned_outputs`); only bins are read."
        )
    if path.suffix == ".zarr":
        raise UnreadableError(f"{path} is no zarr store in spite of its name; copy it again, with all hidden files.")
    if "spatial" in there:
        raise UnreadableError(
            f"{path} has a folder `spatial` but no matrix; put `filtered_feature_bc_matrix.h5` beside it."
        )
    if any(name.startswith("tissue_positions") for name in there):
        raise UnreadableError(f"{path} has positions but no matrix; pass the folder above it, with both.")
    raise UnreadableError(f"{path} is a folder with {_listed(there)}, no section; what is read is {_FORMATS}.")


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(map(repr, sorted(names)[:4]))
    return f"{shown} and others" if len(names) > 4 else shown or "nothing in it"
