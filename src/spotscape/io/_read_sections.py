"""Read sections from files into one AnnData."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape._validate import check_choice, check_flag, check_integer, check_name
from spotscape.io._anndata_files import read_anndata, read_mudata, read_packed_anndata
from spotscape.io._cells import read_cosmx, read_merscope, read_xenium
from spotscape.io._join import JOINS, join_sections
from spotscape.io._paths import list_paths, name_slices
from spotscape.io._recognise import Source, recognise
from spotscape.io._refusals import UnreadableError, explained
from spotscape.io._spatialdata import read_spatialdata
from spotscape.io._visium import choose_bins, read_visium

_CELLS = {"xenium": read_xenium, "merscope": read_merscope, "cosmx": read_cosmx}
_WITH_TABLES = ("h5mu", "mudata.zarr", "spatialdata")
_LAZY = ("h5ad", "zarr", *_WITH_TABLES)
_NAMES = {
    "h5ad": "an AnnData file",
    "h5ad.gz": "a packed AnnData file",
    "zarr": "a zarr store of an AnnData",
    "h5mu": "a MuData file",
    "mudata.zarr": "a zarr store of a MuData",
    "spatialdata": "a SpatialData store",
    "visium": "Space Ranger output",
    "visium_hd": "Space Ranger output of Visium HD",
    "xenium": "Xenium output",
    "merscope": "MERSCOPE output",
    "cosmx": "CosMx output",
}
# A column with more levels than this is unlikely to name slices.
_MAX_CANDIDATE_LEVELS = 50


def read_sections(
    paths: str | Path | Sequence[str | Path],
    *,
    slice_key: str | None = None,
    join: str = "inner",
    lazy: bool = False,
    table: str | None = None,
    bin_size: int | None = None,
    off_tissue: bool = False,
    all_features: bool = False,
) -> AnnData:
    """Read sections from files and folders, and join them into one AnnData.

    The format of each path is recognised by its content: AnnData (``.h5ad``, ``.h5ad.gz``, ``.zarr``), MuData
    (``.h5mu``), SpatialData (``.zarr``), the output folders of Space Ranger (Visium, Visium HD), Xenium, MERSCOPE and
    CosMx, Stereo-seq as ``.h5ad``, and a 10x matrix (``.h5``, ``.mtx``) beside a table of positions. The user guide,
    :doc:`/user_guide/reading`, says what is read from each.

    Parameters
    ----------
    paths
        One file or folder, or several.
    slice_key
        Column of ``obs`` with the slice of each spot, which all files must have. If ``None``, ``"slice"``; then a file
        without this column is one slice, named by the file or, where files have the same name, by the folder.
    join
        ``"inner"`` keeps the genes that all files have. ``"outer"`` keeps all genes and stores in
        ``varm["measured"]`` which slices measured them; their counts are 0 elsewhere, which is no measurement.
    lazy
        Keep the expression (``X`` and ``layers``) in the files as dask arrays, and load everything else. A model can
        then be trained on sections larger than memory. The files must stay in place, and should store expression as
        CSR or dense, not as CSC. For AnnData, MuData and SpatialData. Requires the extra ``spotscape[lazy]``.
    table
        Table of SpatialData stores, or modality of MuData files. If ``None``, the only table, or the modality
        ``"rna"`` or else the only one.
    bin_size
        Bin size of Visium HD output in micrometres. If ``None``, the only one in the folder.
    off_tissue
        Also read the spots of Visium and Visium HD that are not on tissue.
    all_features
        Also read control probes, blanks, and features that are not genes, such as antibodies.

    Returns
    -------
    All spots. Sets

    ``.obs[slice_key]``
        Slice of each spot; ``obs["slice"]`` if ``slice_key`` is ``None``. If spot names occur in more than one file,
        the slice is appended to all of them.
    ``.obsm["spatial"]``
        Coordinates: pixels of the full-resolution image for Visium, Visium HD and (without a scale) CosMx,
        micrometres for Xenium and MERSCOPE, and as stored otherwise.
    ``.uns["spatial"]``
        Images and scale factors of each slice, in scanpy's layout.
    ``.uns["spatial_units"]``
        For each slice with a known unit, ``"unit"`` and, if known, ``"micrometres_per_unit"``.
    ``.varm["measured"]``
        With ``join="outer"``: whether each slice measured each gene, a data frame of genes by slices. Set-up refuses
        genes that a slice did not measure; :func:`spotscape.pp.measured_genes` finds the others.

    Graphs (``obsp``) are dropped, because they must be rebuilt for the joined data. Whatever else only some of the
    files have is named in a warning.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ImportError
        If a package for the format or for ``lazy`` is not installed.
    KeyError
        If ``slice_key`` is named and not in all files.
    TypeError
        If an argument is of the wrong type.
    ValueError
        If a file cannot be read, with what it is and what helps; if files share a slice, have no gene in common, or
        name genes differently; if only some have coordinates; or if a file has duplicate gene names.

    Warns
    -----
    UserWarning
        If genes, spots, layers, columns or other entries are left out or incomplete, with their number or names.

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
    check_call(read_sections, locals())
    check_choice(join, JOINS, "join")
    for name, value in (("lazy", lazy), ("off_tissue", off_tissue), ("all_features", all_features)):
        check_flag(value, name)
    if slice_key is not None:
        check_name(slice_key, "slice_key", "a column of `obs`")
    if table is not None:
        check_name(table, "table", "a table or modality")
    if bin_size is not None:
        check_integer(bin_size, "bin_size", minimum=1)
    files = list_paths(paths)
    if lazy and find_spec("dask") is None:
        raise ImportError('`lazy=True` needs dask, which is not installed; run `pip install "spotscape[lazy]"`.')
    sources = [_checked(recognise(file), lazy) for file in files]
    formats = {source.format for source in sources}
    if table is not None and not formats & set(_WITH_TABLES):
        raise ValueError(f"`table` is {table!r}, but no path is a MuData or SpatialData; leave it out.")
    if bin_size is not None and "visium_hd" not in formats:
        raise ValueError(f"`bin_size` is {bin_size}, but no path is a folder of Visium HD with bins; leave it out.")
    # Folders are chosen before any is read.
    sources = [choose_bins(source, bin_size) if source.format == "visium_hd" else source for source in sources]

    sections = []
    key = "slice" if slice_key is None else slice_key
    for file, source, name in zip(files, sources, name_slices(files), strict=True):
        with explained(file, _NAMES[source.format]):
            adata, regions = _read(source, name, lazy, table, all_features, off_tissue)
        if not adata.n_obs or not adata.n_vars:
            raise UnreadableError(f"{file} has {adata.n_obs} spots and {adata.n_vars} genes; nothing can be read.")
        if not adata.var_names.is_unique:
            gene = adata.var_names[adata.var_names.duplicated()][0]
            raise ValueError(f"{file} has the gene {gene!r} more than once; make its gene names unique first.")
        if slice_key is None and key not in adata.obs:
            adata.obs[key] = pd.Categorical([name] * adata.n_obs if regions is None else adata.obs[regions].astype(str))
        sections.append(_without_graphs(adata))
    _check_slice_key(sections, files, key)
    return join_sections(sections, [str(file) for file in files], slice_key=key, join=join)


def _checked(source: Source, lazy: bool) -> Source:
    if lazy and source.format not in _LAZY:
        raise ValueError(
            f"{source.path} is {_NAMES[source.format]}, which is not read lazily; read it without `lazy`, write it "
            "with `adata.write_zarr(path)`, and read that."
        )
    return source


def _read(
    source: Source, name: str, lazy: bool, table: str | None, all_features: bool, off_tissue: bool
) -> tuple[AnnData, str | None]:
    """One section, and the column with the regions of a SpatialData store if there are several."""
    if source.format == "spatialdata":
        return read_spatialdata(source.path, table, lazy=lazy)
    if source.format in _WITH_TABLES:
        return read_mudata(source.path, table, lazy=lazy), None
    if source.format == "visium":
        return read_visium(source, name, all_features=all_features, off_tissue=off_tissue), None
    if source.format in _CELLS:
        return _CELLS[source.format](source, name, all_features=all_features), None
    packed = source.format == "h5ad.gz"
    adata = read_packed_anndata(source.path) if packed else read_anndata(source.path, lazy=lazy)
    return _with_stereo_seq(adata, name), None


def _with_stereo_seq(adata: AnnData, name: str) -> AnnData:
    """Positions and unit of an AnnData made by SAW or stereopy; another AnnData is returned as it is."""
    if not {"bin_type", "bin_size"} <= adata.uns.keys():
        return adata
    if "spatial" not in adata.obsm and {"x", "y"} <= set(adata.obs):
        adata.obsm["spatial"] = adata.obs[["x", "y"]].to_numpy(dtype=float)
    # Coordinates count DNA nanoballs, whose distance is stored in nanometres.
    if "resolution" in adata.uns and "spatial_units" not in adata.uns:
        unit: dict[str, Any] = {"unit": "DNA nanoball", "micrometres_per_unit": float(adata.uns["resolution"]) / 1000}
        adata.uns["spatial_units"] = {name: unit}
    return adata


def _without_graphs(adata: AnnData) -> AnnData:
    for key in list(adata.obsp):
        del adata.obsp[key]
    for key in [key for key in adata.uns if key.endswith("neighbors")]:
        del adata.uns[key]
    return adata


def _check_slice_key(sections: list[AnnData], files: list[Path], slice_key: str) -> None:
    lacking = [file for section, file in zip(sections, files, strict=True) if slice_key not in section.obs]
    if not lacking:
        return
    listed = ", ".join(map(str, lacking[:4]))
    if len(lacking) < len(files):
        raise KeyError(
            f"`slice_key` is {slice_key!r}, which {len(lacking)} of {len(files)} files lack ({listed}); add the column "
            "to them, or leave `slice_key` out."
        )
    common = set.intersection(*(set(map(str, section.obs.columns)) for section in sections))
    candidates = [
        name
        for name in sections[0].obs.columns
        if name in common
        and not pd.api.types.is_numeric_dtype(sections[0].obs[name])
        and sections[0].obs[name].nunique() <= min(_MAX_CANDIDATE_LEVELS, sections[0].n_obs // 2)
    ]
    advice = f"one of {candidates}, or leave it out" if candidates else "none, so that each file is one slice"
    raise KeyError(f"`slice_key` is {slice_key!r}, which is in no file ({listed}); pass {advice}.")
