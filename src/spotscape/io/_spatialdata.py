"""Reader of SpatialData stores: a table, and the centroids of the elements that it annotates."""

import warnings
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import anndata
from anndata import AnnData

from spotscape._centroids import annotated_regions, centroids_of_spots
from spotscape.io._anndata_files import choose_table, lazy_anndata, open_group
from spotscape.io._refusals import UnreadableError
from spotscape.io._tables import keep_located


def read_spatialdata(path: Path, table: str | None, *, lazy: bool) -> tuple[AnnData, str | None]:
    """Read a table of a SpatialData store.

    Parameters
    ----------
    path
        Zarr store.
    table
        Name of the table; may be ``None`` if there is only one.
    lazy
        Whether the expression stays in the store.

    Returns
    -------
    The table, and the column of ``obs`` with the regions if it annotates several. If the table has no
    ``obsm["spatial"]``, the coordinates are the centroids of the annotated elements, in the coordinate system
    ``"global"`` or else in the first of the element.

    Raises
    ------
    ImportError
        If the centroids are needed and spatialdata is not installed.
    UnreadableError
        If there is no table, several of them and none is named, or no element with positions.
    """
    with open_group(path) as group:
        # Stores of the first releases have one table, in the folder `table`.
        folder = group["tables"] if "tables" in group else group.get("table", {})
        name = choose_table(path, sorted(folder), table, "tables")
        adata = lazy_anndata(folder[name]) if lazy else anndata.io.read_elem(folder[name])
    regions = annotated_regions(adata)
    if "spatial" not in adata.obsm:
        if not regions:
            raise UnreadableError(
                f"The table {name!r} of {path} annotates no shapes and has no `obsm['spatial']`, so its spots have no "
                "position; set one of them and write the store again."
            )
        adata.obsm["spatial"] = centroids_of_spots(adata, partial(_read_elements, path))
        adata = keep_located(adata, str(path))
    return adata, adata.uns["spatialdata_attrs"]["region_key"] if len(regions) > 1 else None


def _read_elements(path: Path, regions: Collection[str]) -> dict[str, Any]:
    """Elements of a store by name; shapes first, because labels and points are rarely annotated."""
    try:
        import spatialdata
    except ImportError as error:
        raise ImportError(
            f"{path} has a table without coordinates, and the centroids of its shapes need spatialdata, which is not "
            'installed; run `pip install "spotscape[io]"`.'
        ) from error
    found: dict[str, Any] = {}
    for kind in ("shapes", "labels", "points"):
        if set(regions) <= found.keys():
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            elements = getattr(spatialdata.read_zarr(path, selection=(kind,)), kind)
        found |= {region: elements[region] for region in regions if region in elements}
    missing = [region for region in regions if region not in found]
    if missing:
        raise UnreadableError(
            f"{path} has a table for {missing[0]!r}, but no such shapes, labels or points, so its spots have no "
            "position; set `obsm['spatial']` of the table and write the store again."
        )
    return found
