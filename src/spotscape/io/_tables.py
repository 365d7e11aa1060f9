"""Matrices of counts and tables of positions, as instruments write them."""

import gzip
import re
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from spotscape.io._refusals import UnreadableError, explained

#: Control probes and blanks, in the panels of Xenium, MERSCOPE and CosMx.
_CONTROLS = re.compile(
    r"(neg(prb|probe|control).*|negative[ _-]?\w*|blank[ _-].*|(unassigned|deprecated)codeword.*|antisense_.*|"
    r"intergenic_.*|systemcontrol.*|falsecode.*)",
    re.IGNORECASE,
)
_N_ROWS_CHUNK = 20_000


def read_matrix(path: Path, *, all_features: bool) -> AnnData:
    """Read a 10x ``.h5`` file, or a folder with ``matrix.mtx``, and leave out controls and other features than genes.

    Gene symbols that occur more than once get a number, as scanpy numbers them.
    """
    with explained(path, "a 10x matrix"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(Variable|Observation) names are not unique")
        adata = _read_mtx(path) if path.is_dir() else _read_h5(path)
        adata.var_names_make_unique()
        adata.X = sparse.csr_matrix(adata.X)
    if all_features:
        return adata
    genes = adata.var.get("feature_types", pd.Series("Gene Expression", adata.var_names)) == "Gene Expression"
    control = is_control(adata.var_names)
    others = adata.var.loc[~genes, "feature_types"] if "feature_types" in adata.var else pd.Series(dtype=str)
    lost = sorted({str(kind) for kind in others if not re.search("control|codeword|blank", str(kind), re.IGNORECASE)})
    if lost:
        warnings.warn(
            f"{path} has features of the type {', '.join(map(repr, lost))}, which are left out; `all_features=True` "
            "keeps them.",
            UserWarning,
            stacklevel=2,
        )
    keep = genes.to_numpy() & ~control
    return adata if keep.all() else adata[:, keep].copy()


def is_control(names: pd.Index) -> np.ndarray:
    """Whether features are control probes or blanks, by their names. ``(n_features,)``."""
    return np.array([_CONTROLS.fullmatch(str(name)) is not None for name in names], dtype=bool)


def read_wide_counts(path: Path, id_columns: tuple[str, ...], *, all_features: bool) -> tuple[AnnData, pd.DataFrame]:
    """Read a table with one row a cell and one column a gene, in parts, so that it is never dense in memory.

    Parameters
    ----------
    path
        ``.csv`` file.
    id_columns
        Columns that identify the cell, in lower case; all others are genes.
    all_features
        Keep control probes and blanks.

    Returns
    -------
    Counts as CSR, and the columns that identify the cells, as text.
    """
    with explained(path, "a table of counts"):
        header = list(pd.read_csv(path, nrows=0).columns)
        # Text, because identifiers are longer than the digits of a floating-point number.
        text = {name: str for name in header if str(name).lower() in id_columns} or {header[0]: str}
        genes = pd.Index([name for name in header if name not in text])
        kept = genes if all_features else genes[~is_control(genes)]
        blocks, ids = [], []
        for block in pd.read_csv(path, dtype=text, chunksize=_N_ROWS_CHUNK):
            blocks.append(sparse.csr_matrix(block[kept].to_numpy(dtype=np.float32)))
            ids.append(block[list(text)])
    if not blocks:
        raise UnreadableError(f"{path} has a header but no cells; check that the file is complete.")
    return AnnData(sparse.vstack(blocks, format="csr"), var=pd.DataFrame(index=kept.astype(str))), pd.concat(ids)


def read_table(path: Path, id_columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a table of cells from a parquet or text file; identifiers become text.

    Parameters
    ----------
    path
        ``.parquet``, ``.csv`` or ``.tsv`` file, possibly with ``.gz``.
    id_columns
        Columns that identify a cell. If none of them is there, the first column does.
    """
    with explained(path, "a table of cells"):
        if path.name.endswith(".parquet"):
            try:
                table = pd.read_parquet(path)
            except ImportError as error:
                raise ImportError(
                    f'{path} needs pyarrow, which is not installed; run `pip install "spotscape[io]"`.'
                ) from error
            if not isinstance(table.index, pd.RangeIndex):
                table = table.reset_index()
            text = [name for name in table.columns if name in id_columns] or [table.columns[0]]
            for name in text:
                # Early releases of Xenium write bytes.
                table[name] = [value.decode() if isinstance(value, bytes) else str(value) for value in table[name]]
            return table
        separator = "\t" if re.search(r"\.(tsv|txt)(\.gz)?$", path.name) else ","
        columns = list(pd.read_csv(path, sep=separator, nrows=0).columns)
        text = [name for name in columns if name in id_columns] or columns[:1]
        return pd.read_csv(path, sep=separator, dtype=dict.fromkeys(text, str))


def locate(adata: AnnData, table: pd.DataFrame, axes: list[str], where: str) -> AnnData:
    """Join counts with positions by the names of the spots.

    Parameters
    ----------
    adata
        Counts.
    table
        Positions and further columns, indexed by the names of the spots.
    axes
        Columns with the coordinates, x first.
    where
        File or folder, for messages.

    Returns
    -------
    The spots with a position, in the order of the counts; the further columns are in ``obs``.

    Warns
    -----
    UserWarning
        If spots have no position, with their number.
    """
    if not table.index.is_unique:
        raise UnreadableError(
            f"{where} has the position of {table.index[table.index.duplicated()][0]!r} more than once; leave one."
        )
    place = table.index.get_indexer(adata.obs_names)
    if (place < 0).all():
        raise UnreadableError(
            f"No spot of the matrix has a position in {where}: the matrix names its spots like "
            f"{str(adata.obs_names[0])!r}, and the positions like {str(table.index[0])!r}; check that they belong "
            "together."
        )
    aligned = table.iloc[np.maximum(place, 0)]
    coordinates = aligned[axes].to_numpy(dtype=np.float64, copy=True)
    coordinates[place < 0] = np.nan
    further = aligned.drop(columns=axes)
    further.index = adata.obs_names
    adata.obs = pd.concat([adata.obs.drop(columns=further.columns, errors="ignore"), further], axis=1)
    adata.obsm["spatial"] = coordinates
    return keep_located(adata, where)


def keep_located(adata: AnnData, where: str) -> AnnData:
    """Drop spots without a position, and say how many they are."""
    located = np.isfinite(adata.obsm["spatial"]).all(axis=1)
    if located.all():
        return adata
    if not located.any():
        raise UnreadableError(f"No spot of {where} has a position; check that counts and positions belong together.")
    warnings.warn(
        f"{int((~located).sum())} of {len(located)} spots of {where} have no position and are left out.",
        UserWarning,
        stacklevel=3,
    )
    return adata[located].copy()


def _read_h5(path: Path) -> AnnData:
    with h5py.File(path, "r") as file:
        shape = file["matrix/shape"][:] if "matrix" in file else np.zeros(2, dtype=int)
        names = list(file["matrix"]) if "matrix" in file else []
    if shape.dtype.kind in "iu":
        return sc.read_10x_h5(path, gex_only=False)
    # Writers in R store the shape as floating-point numbers, which scanpy refuses: a file beside it, with links to
    # everything but the shape, is read in its place.
    with TemporaryDirectory() as folder:
        mended = Path(folder, "mended.h5")
        with h5py.File(mended, "w") as file:
            matrix = file.create_group("matrix")
            matrix["shape"] = shape.astype(np.int64)
            for name in names:
                if name != "shape":
                    matrix[name] = h5py.ExternalLink(str(path.absolute()), f"/matrix/{name}")
        return sc.read_10x_h5(mended, gex_only=False)


def _read_mtx(path: Path) -> AnnData:
    if (path / "genes.tsv").is_file() or (path / "matrix.mtx.gz").is_file():
        return sc.read_10x_mtx(path, gex_only=False, make_unique=False)
    # scanpy reads the present form of the folder only if its files are packed.
    with TemporaryDirectory() as folder:
        for name in ("matrix.mtx", "features.tsv", "barcodes.tsv"):
            if not (path / name).is_file():
                raise UnreadableError(f"{path} has no file {name}; copy the whole folder.")
            with (path / name).open("rb") as plain, gzip.open(Path(folder, f"{name}.gz"), "wb", 1) as packed:
                shutil.copyfileobj(plain, packed)
        return sc.read_10x_mtx(Path(folder), gex_only=False, make_unique=False)
