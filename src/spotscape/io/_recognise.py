"""What a file or folder is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import zarr

from spotscape.io._refusals import UnreadableError, explained, refuse_file, refuse_folder, refuse_hdf5, refuse_zarr

_ZARR_FILES = ("zarr.json", ".zgroup", ".zattrs", ".zmetadata")
#: Names of positions files beside a matrix, in the order in which they are looked for.
_POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
_TABLES = ("parquet", "csv", "csv.gz", "tsv", "tsv.gz", "txt")


@dataclass(frozen=True)
class Source:
    """A file or folder, its format, and the files in it that the reader of the format takes."""

    #: One of "h5ad", "h5ad.gz", "zarr", "h5mu", "mudata.zarr", "spatialdata", "visium", "visium_hd", "xenium",
    #: "merscope", "cosmx".
    format: str
    path: Path
    #: Matrix of counts: a 10x .h5 file, a folder with an .mtx file, or a .csv file.
    matrix: Path | None = None
    #: Table of the positions.
    positions: Path | None = None


def recognise(path: Path) -> Source:
    """Recognise the format of a file or folder by its content.

    Raises
    ------
    UnreadableError
        If it cannot be read, with what it is and what helps.
    """
    if path.is_file():
        return _recognise_file(path)
    if any((path / name).is_file() for name in _ZARR_FILES):
        return _recognise_zarr(path)
    source = _recognise_output(path)
    if source is None:
        refuse_folder(path, lambda below: _is_readable(below))
    return source


def find_one(folder: Path, *patterns: str) -> Path | None:
    """File or folder that fits a pattern; the patterns are tried in their order.

    Raises
    ------
    UnreadableError
        If several fit the same pattern.
    """
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
        if len(found) > 1:
            names = ", ".join(path.name for path in found[:4])
            raise UnreadableError(
                f"{folder} has {len(found)} files of one kind ({names}); put each section into a folder of its own."
            )
        if found:
            return found[0]
    return None


def _recognise_file(path: Path) -> Source:
    if path.stat().st_size == 0:
        raise UnreadableError(f"{path} is empty; copy or download it again.")
    if path.name.endswith(".h5ad.gz"):
        return Source("h5ad.gz", path)
    if not h5py.is_hdf5(path):
        refuse_file(path)
    with explained(path, "an HDF5 file"), h5py.File(path, "r") as file:
        keys = set(file)
        if file.attrs.get("encoding-type") == "MuData" or "mod" in keys:
            return Source("h5mu", path)
        if {"obs", "var"} <= keys:
            return Source("h5ad", path)
        if not (_is_tenx(file) or any(isinstance(file[key], h5py.Group) and "barcodes" in file[key] for key in keys)):
            refuse_hdf5(path, keys)
    return _beside_matrix(path, path.parent)


def _is_tenx(file: h5py.File) -> bool:
    return isinstance(file.get("matrix"), h5py.Group)


def _recognise_zarr(path: Path) -> Source:
    with explained(path, "a zarr store"):
        group = zarr.open(path, mode="r")
        keys = set(group.keys()) if isinstance(group, zarr.Group) else set()
    if "spatialdata_attrs" in group.attrs or keys & {"tables", "table", "shapes", "images", "labels", "points"}:
        return Source("spatialdata", path)
    if group.attrs.get("encoding-type") == "MuData" or "mod" in keys:
        return Source("mudata.zarr", path)
    if not {"obs", "var"} <= keys:
        refuse_zarr(path, keys)
    return Source("zarr", path)


def _recognise_output(path: Path) -> Source | None:
    """Output of an instrument in a folder, or in the folder ``outs`` in it."""
    for folder in (path, path / "outs"):
        if not folder.is_dir():
            continue
        bins = folder if folder.name == "binned_outputs" else folder / "binned_outputs"
        if bins.is_dir():
            return Source("visium_hd", bins)
        for recognise_one in _OUTPUTS:
            source = recognise_one(folder)
            if source is not None:
                return source
    return None


def _xenium(folder: Path) -> Source | None:
    matrix = find_one(folder, "*cell_feature_matrix.h5", "cell_feature_matrix")
    return None if matrix is None else Source("xenium", folder, matrix, _cells(folder))


def _visium(folder: Path) -> Source | None:
    matrix = find_one(
        folder, *(f"*{kind}_feature_bc_matrix{end}" for kind in ("filtered", "raw") for end in (".h5", ""))
    )
    return None if matrix is None else Source("visium", folder, matrix, find_positions(folder))


def _merscope(folder: Path) -> Source | None:
    matrix = find_one(folder, "*cell_by_gene.csv", "*cell_by_gene.csv.gz")
    cells = find_one(folder, "*cell_metadata.csv", "*cell_metadata.csv.gz")
    return None if matrix is None and cells is None else Source("merscope", folder, matrix, cells)


def _cosmx(folder: Path) -> Source | None:
    matrix = find_one(folder, "*exprMat_file.csv", "*exprMat_file.csv.gz")
    cells = find_one(folder, "*metadata_file.csv", "*metadata_file.csv.gz")
    return None if matrix is None and cells is None else Source("cosmx", folder, matrix, cells)


def _matrix_folder(folder: Path) -> Source | None:
    if find_one(folder, "matrix.mtx", "matrix.mtx.gz") is None:
        return None
    beside = folder if find_positions(folder) else folder.parent
    return _beside_matrix(folder, beside)


def _other_tenx(folder: Path) -> Source | None:
    """A folder with one 10x matrix of another name, and positions."""
    positions = find_positions(folder)
    matrix = find_one(folder, "*.h5") if positions else None
    return None if matrix is None or not h5py.is_hdf5(matrix) else Source("visium", folder, matrix, positions)


_OUTPUTS: tuple[Callable[[Path], Source | None], ...] = (
    _xenium,
    _merscope,
    _cosmx,
    _visium,
    _matrix_folder,
    _other_tenx,
)


def _beside_matrix(matrix: Path, folder: Path) -> Source:
    """A 10x matrix on its own, with the positions beside it."""
    if _cells(folder) is not None:
        return Source("xenium", folder, matrix, _cells(folder))
    return Source("visium", folder, matrix, find_positions(folder))


def _cells(folder: Path) -> Path | None:
    return find_one(folder, "*cells.parquet", "*cells.csv.gz", "*cells.csv")


def find_positions(folder: Path) -> Path | None:
    """Table of positions in a folder or in its folder ``spatial``."""
    for place in (folder / "spatial", folder):
        exact = [f"*{name}{end}" for name in _POSITIONS for end in ("", ".gz")]
        others = [f"*{word}*.{end}" for word in ("positions", "coordinates", "locations") for end in _TABLES]
        found = find_one(place, *exact, *others) if place.is_dir() else None
        if found is not None:
            return found
    return None


def _is_readable(path: Path) -> bool:
    try:
        recognise(path)
    except (UnreadableError, OSError):
        return False
    return True
