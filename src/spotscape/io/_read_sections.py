"""Reading sections from files into one AnnData."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata
import h5py
import pandas as pd
import zarr
from anndata import AnnData

# Entries of a chunk, stored or not; reading each chunk costs some milliseconds whatever it holds.
_ENTRIES_IN_CHUNK = 1 << 23
_SPOTS_IN_CHUNK = 1000


def read_sections(paths: Sequence[str | Path], *, slice_key: str = "slice", lazy: bool = False) -> AnnData:
    """Read sections from ``.h5ad`` files and ``.zarr`` folders and join them on the genes they have in common.

    Parameters
    ----------
    paths
        Files or folders, each with one section or several.
    slice_key
        Column of ``obs`` with the slice of each spot. A file without it counts as one slice, named as the file.
    lazy
        Whether to leave the expression (``X`` and ``layers``) in the files, as dask arrays, and load the rest only. A
        model can be trained on sections that are larger than the memory in this way; the files have to stay where
        they are. They should hold the expression as CSR or dense, not as CSC. Takes the extra ``spotscape[lazy]``.

    Returns
    -------
    All spots and the common genes. Where two files share names of spots, the slice is added to all. Graphs (``obsp``)
    are left out, since they would have to be rebuilt.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ImportError
        If dask is needed and not there.
    ValueError
        If the files have no gene in common, name a gene twice, or share a slice.
    """
    files = [Path(path) for path in paths]
    for file in files:
        if not (file.is_file() or _is_zarr(file)):
            raise FileNotFoundError(f"There is no file {file}.")
    if lazy and find_spec("dask") is None:
        raise ImportError('Reading sections lazily needs dask; install it with `pip install "spotscape[lazy]"`.')
    sections = [_read_section(file, slice_key, lazy) for file in files]
    if len(sections) == 1:
        return sections[0]
    names = pd.concat([section.obs[slice_key].astype(str).drop_duplicates() for section in sections])
    if names.duplicated().any():
        raise ValueError(
            f"The slice {names[names.duplicated()].iloc[0]!r} is in more than one file; give each slice a name of "
            f"its own in `obs[{slice_key!r}]`."
        )
    if pd.concat([section.obs_names.to_series() for section in sections]).duplicated().any():
        for section in sections:
            section.obs_names = section.obs_names.astype(str) + "-" + section.obs[slice_key].astype(str)
    joined = anndata.concat(sections, join="inner", merge="same", uns_merge=None)
    if joined.n_vars == 0:
        raise ValueError("The files have no gene in common; check that all name genes in the same way.")
    joined.obs[slice_key] = joined.obs[slice_key].astype("category")
    return joined


def _is_zarr(path: Path) -> bool:
    return path.is_dir() and path.suffix == ".zarr"


def _read_section(path: Path, slice_key: str, lazy: bool) -> AnnData:
    if lazy:
        adata = _read_lazily(path)
    else:
        adata = anndata.read_zarr(path) if _is_zarr(path) else anndata.read_h5ad(path)
    if not adata.var_names.is_unique:
        name = adata.var_names[adata.var_names.duplicated()][0]
        raise ValueError(f"{path} names the gene {name!r} more than once; make its names unique before joining.")
    if slice_key not in adata.obs:
        adata.obs[slice_key] = pd.Categorical([path.stem] * adata.n_obs)
    for key in list(adata.obsp):
        del adata.obsp[key]
    for key in [key for key in adata.uns if key.endswith("neighbors")]:
        del adata.uns[key]
    return adata


def _read_lazily(path: Path) -> AnnData:
    if _is_zarr(path):
        return _annotated(zarr.open_group(path, mode="r"))
    # Chunks open the file again whenever they are read.
    with h5py.File(path, "r") as file:
        return _annotated(file)


def _annotated(group: Any) -> AnnData:
    """AnnData with all but the expression and the graphs in memory."""
    loaded = {key: anndata.io.read_elem(group[key]) for key in ("obs", "var", "obsm", "varm", "uns") if key in group}
    layers = {key: _lazy_matrix(group["layers"][key]) for key in group["layers"]} if "layers" in group else {}
    return AnnData(_lazy_matrix(group["X"]) if "X" in group else None, layers=layers, **loaded)


def _lazy_matrix(stored: Any) -> Any:
    if stored.attrs.get("encoding-type") != "csr_matrix":
        return anndata.experimental.read_elem_lazy(stored)
    n_genes = int(stored.attrs["shape"][1])
    n_spots = max(_SPOTS_IN_CHUNK, _ENTRIES_IN_CHUNK // max(n_genes, 1))
    return anndata.experimental.read_elem_lazy(stored, chunks=(n_spots, n_genes))
