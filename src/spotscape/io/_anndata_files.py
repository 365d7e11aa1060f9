"""Readers of AnnData and MuData files."""

import gzip
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anndata
import h5py
import pandas as pd
import zarr
from anndata import AnnData

from spotscape.io._refusals import UnreadableError

# Size of a chunk in matrix entries, zeros included. Reading a chunk takes some milliseconds even if it is small.
_N_ENTRIES_CHUNK = 1 << 23
_MIN_SPOTS_CHUNK = 1000
#: Names under which modalities hold expression, in the order in which they are looked for.
_EXPRESSION = ("rna", "gex", "RNA", "GEX", "Gene Expression")


def read_anndata(path: Path, *, lazy: bool) -> AnnData:
    """Read an ``.h5ad`` file or a zarr store of an AnnData."""
    if lazy:
        # The file may be closed: it is opened again for each chunk that is read.
        with open_group(path) as group:
            return lazy_anndata(group)
    return anndata.read_zarr(path) if path.is_dir() else anndata.read_h5ad(path)


def read_packed_anndata(path: Path) -> AnnData:
    """Read an ``.h5ad.gz`` file by way of an unpacked copy, because HDF5 needs random access."""
    with TemporaryDirectory() as folder:
        unpacked = Path(folder, "unpacked.h5ad")
        with gzip.open(path) as packed, unpacked.open("wb") as target:
            shutil.copyfileobj(packed, target)
        return anndata.read_h5ad(unpacked)


def read_mudata(path: Path, table: str | None, *, lazy: bool) -> AnnData:
    """Read one modality of a MuData, with the columns and coordinates that the MuData holds for all modalities.

    Parameters
    ----------
    path
        ``.h5mu`` file or zarr store.
    table
        Modality. If ``None``, the one with expression, or the only one.
    lazy
        Whether the expression stays in the file.

    Returns
    -------
    The modality.

    Raises
    ------
    UnreadableError
        If there is no such modality, or it is not clear which one is meant.

    Warns
    -----
    UserWarning
        If one of several modalities was chosen.
    """
    with open_group(path) as group:
        modalities = list(group["mod"])
        modality = choose_table(path, modalities, table, "modalities", _EXPRESSION)
        stored = group["mod"][modality]
        adata = lazy_anndata(stored) if lazy else anndata.io.read_elem(stored)
        shared_obs = anndata.io.read_elem(group["obs"])
        shared_obsm = anndata.io.read_elem(group["obsm"]) if "obsm" in group else {}
    rows = pd.Index(shared_obs.index).get_indexer(adata.obs_names)
    if (rows < 0).any():
        return adata
    for key, values in shared_obsm.items():
        # One mask a modality, which says which spots it has.
        if key not in modalities and key not in adata.obsm:
            adata.obsm[key] = values.iloc[rows] if isinstance(values, pd.DataFrame) else values[rows]
    for column in shared_obs.columns:
        prefix, _, name = column.rpartition(":")
        if prefix in ("", modality) and name not in adata.obs:
            adata.obs[name] = shared_obs[column].iloc[rows].array
    return adata


def choose_table(
    path: Path, available: list[str], wanted: str | None, what: str, preferred: tuple[str, ...] = ()
) -> str:
    """Choose one of several tables or modalities; see :func:`read_mudata`."""
    listed = ", ".join(map(repr, available))
    if wanted is not None and wanted not in available:
        raise UnreadableError(f"`table` is {wanted!r}, but {path} has the {what} {listed or 'none'}; pass one of them.")
    if not available:
        raise UnreadableError(f"{path} has no {what}, so there is no expression to read; pass a store with expression.")
    if wanted is not None or len(available) == 1:
        return wanted or available[0]
    chosen = next((name for name in preferred if name in available), None)
    if chosen is None:
        raise UnreadableError(
            f"{path} has the {what} {listed}; say which one to read, such as `table={available[0]!r}`."
        )
    warnings.warn(
        f"{path} has the {what} {listed}; {chosen!r} is read, and `table` chooses another.", UserWarning, stacklevel=2
    )
    return chosen


@contextmanager
def open_group(path: Path) -> Iterator[Any]:
    """Open an HDF5 file or a zarr store for reading."""
    if path.is_dir():
        yield zarr.open_group(path, mode="r")
        return
    with h5py.File(path, "r") as file:
        yield file


def lazy_anndata(group: Any) -> AnnData:
    """AnnData with lazy expression, no graphs, and everything else in memory."""
    loaded = {key: anndata.io.read_elem(group[key]) for key in ("obs", "var", "obsm", "varm", "uns") if key in group}
    layers = {key: _lazy_matrix(group["layers"][key]) for key in group["layers"]} if "layers" in group else {}
    return AnnData(_lazy_matrix(group["X"]) if "X" in group else None, layers=layers, **loaded)


def _lazy_matrix(stored: Any) -> Any:
    if stored.attrs.get("encoding-type") != "csr_matrix":
        return anndata.experimental.read_elem_lazy(stored)
    n_genes = int(stored.attrs["shape"][1])
    n_spots = max(_MIN_SPOTS_CHUNK, _N_ENTRIES_CHUNK // max(n_genes, 1))
    return anndata.experimental.read_elem_lazy(stored, chunks=(n_spots, n_genes))
