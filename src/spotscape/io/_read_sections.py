"""Read sections from files into one AnnData."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata
import h5py
import pandas as pd
import zarr
from anndata import AnnData

# Size of a chunk in matrix entries, zeros included. Reading a chunk takes some milliseconds even if it is small.
_N_ENTRIES_CHUNK = 1 << 23
_MIN_SPOTS_CHUNK = 1000


def read_sections(paths: Sequence[str | Path], *, slice_key: str = "slice", lazy: bool = False) -> AnnData:
    """Read sections from ``.h5ad`` files and ``.zarr`` folders, and join them on their common genes.

    Parameters
    ----------
    paths
        Files or folders with one or more sections each.
    slice_key
        Column of ``obs`` with the slice of each spot. A file without it is read as one slice with the name of the file.
    lazy
        Keep the expression (``X`` and ``layers``) in the files as dask arrays, and load everything else. A model can
        then be trained on sections larger than memory. The files must stay in place, and should store expression as
        CSR or dense, not as CSC. Requires the extra ``spotscape[lazy]``.

    Returns
    -------
    All spots and the common genes. If spot names occur in more than one file, the slice is appended to all of them.
    Graphs (``obsp``) are dropped, because they must be rebuilt for the joined data.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ImportError
        If ``lazy`` is set and dask is not installed.
    ValueError
        If the files have no gene in common or share a slice, or if a file has duplicate gene names.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, seed=0)
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("slice_1", "slice_2"):
    ...         adata[adata.obs["slice"] == name].write_h5ad(Path(folder, f"{name}.h5ad"))
    ...     joined = sps.io.read_sections(sorted(Path(folder).iterdir()))
    >>> joined.shape
    (400, 40)
    """
    files = [Path(path) for path in paths]
    for file in files:
        if not (file.is_file() or _is_zarr(file)):
            raise FileNotFoundError(f"There is no file {file}; check the path.")
    if lazy and find_spec("dask") is None:
        raise ImportError('`lazy=True` needs dask, which is not installed; run `pip install "spotscape[lazy]"`.')
    sections = [_read_section(file, slice_key, lazy) for file in files]
    if len(sections) == 1:
        return sections[0]
    names = pd.concat([section.obs[slice_key].astype(str).drop_duplicates() for section in sections])
    if names.duplicated().any():
        raise ValueError(
            f"Slice {names[names.duplicated()].iloc[0]!r} is in more than one file; give each slice a unique name in "
            f"`obs[{slice_key!r}]`."
        )
    if pd.concat([section.obs_names.to_series() for section in sections]).duplicated().any():
        for section in sections:
            section.obs_names = section.obs_names.astype(str) + "-" + section.obs[slice_key].astype(str)
    joined = anndata.concat(sections, join="inner", merge="same", uns_merge=None)
    if joined.n_vars == 0:
        raise ValueError("The files have no gene in common; check that all use the same gene names.")
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
        raise ValueError(f"{path} has the gene {name!r} more than once; make its gene names unique first.")
    if slice_key not in adata.obs:
        adata.obs[slice_key] = pd.Categorical([path.stem] * adata.n_obs)
    for key in list(adata.obsp):
        del adata.obsp[key]
    for key in [key for key in adata.uns if key.endswith("neighbors")]:
        del adata.uns[key]
    return adata


def _read_lazily(path: Path) -> AnnData:
    if _is_zarr(path):
        return _lazy_anndata(zarr.open_group(path, mode="r"))
    # The file may be closed: it is opened again for each chunk that is read.
    with h5py.File(path, "r") as file:
        return _lazy_anndata(file)


def _lazy_anndata(group: Any) -> AnnData:
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
