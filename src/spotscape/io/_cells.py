"""Readers of instruments that measure single cells: Xenium, MERSCOPE and CosMx."""

from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from spotscape.io._recognise import Source
from spotscape.io._refusals import UnreadableError
from spotscape.io._tables import locate, read_matrix, read_table, read_wide_counts

MICROMETRES: dict[str, Any] = {"unit": "micrometre", "micrometres_per_unit": 1.0}


def read_xenium(source: Source, library: str, *, all_features: bool) -> AnnData:
    """Read counts and cells of Xenium output; coordinates are the centroids in micrometres."""
    matrix, cells = _both(source, "cell_feature_matrix.h5", "cells.parquet or cells.csv.gz")
    adata = read_matrix(matrix, all_features=all_features)
    table = _cells_by(read_table(cells, ("cell_id",)), "cell_id", cells)
    adata = locate(adata, table, _axes(table, cells, [("x_centroid", "y_centroid")]), str(cells))
    adata.uns["spatial_units"] = {library: MICROMETRES.copy()}
    return adata


def read_merscope(source: Source, library: str, *, all_features: bool) -> AnnData:
    """Read counts and cells of MERSCOPE output; coordinates are the centres in micrometres."""
    matrix, cells = _both(source, "cell_by_gene.csv", "cell_metadata.csv")
    adata, ids = read_wide_counts(matrix, ("cell", "entityid", "unnamed: 0"), all_features=all_features)
    adata.obs_names = ids.iloc[:, 0].to_numpy()
    table = read_table(cells, ("EntityID",))
    table = _cells_by(table, "EntityID" if "EntityID" in table else table.columns[0], cells)
    axes = _axes(table, cells, [("center_x", "center_y")])
    adata = locate(adata, table, axes, str(cells))
    adata.uns["spatial_units"] = {library: MICROMETRES.copy()}
    return adata


def read_cosmx(source: Source, library: str, *, all_features: bool) -> AnnData:
    """Read counts and cells of CosMx flat files; coordinates are global, in pixels or, where given, micrometres."""
    matrix, cells = _both(source, "exprMat_file.csv", "metadata_file.csv")
    adata, ids = read_wide_counts(matrix, ("fov", "cell_id", "cell", "slide_id"), all_features=all_features)
    table = read_table(cells, ("fov", "cell_ID"))
    if not {"fov", "cell_ID"} <= set(ids) or not {"fov", "cell_ID"} <= set(table):
        raise UnreadableError(f"{matrix} and {cells} must have the columns 'fov' and 'cell_ID', which identify cells.")
    adata.obs_names = (ids["fov"] + "_" + ids["cell_ID"]).to_numpy()
    # Cell 0 of a field of view is what lies outside its cells.
    outside = (ids["cell_ID"] == "0").to_numpy()
    adata = adata[~outside].copy() if outside.any() else adata
    axes = _axes(table, cells, [("x_slide_mm", "y_slide_mm"), ("CenterX_global_px", "CenterY_global_px")])
    table = _cells_by(table.assign(_id=table["fov"] + "_" + table["cell_ID"]), "_id", cells)
    adata = locate(adata, table, axes, str(cells))
    if axes[0].endswith("_mm"):
        adata.obsm["spatial"] *= 1000
    # The size of a pixel depends on the instrument, and no flat file has it.
    adata.uns["spatial_units"] = {library: MICROMETRES.copy() if axes[0].endswith("_mm") else {"unit": "pixel"}}
    return adata


def _both(source: Source, matrix: str, cells: str) -> tuple[Path, Path]:
    if source.matrix is None or source.positions is None:
        missing = matrix if source.matrix is None else cells
        raise UnreadableError(f"{source.path} has no {missing}; put it into the folder.")
    return source.matrix, source.positions


def _cells_by(table: pd.DataFrame, column: str, path: Path) -> pd.DataFrame:
    """Cells indexed by their identifier, without the row numbers that some writers add."""
    if column not in table:
        raise UnreadableError(f"{path} has no column {column!r}, which identifies the cells.")
    unnamed = [name for name in table.columns if str(name).startswith("Unnamed:") and name != column]
    return table.drop(columns=unnamed).set_index(column)


def _axes(table: pd.DataFrame, path: Path, pairs: list[tuple[str, str]]) -> list[str]:
    axes = next((list(pair) for pair in pairs if set(pair) <= set(table.columns)), None)
    if axes is None:
        raise UnreadableError(f"{path} has no columns {pairs[-1][0]!r} and {pairs[-1][1]!r} with the positions.")
    return axes
