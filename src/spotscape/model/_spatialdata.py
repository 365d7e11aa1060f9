"""Set-up of a table of a SpatialData."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from spotscape._centroids import annotated_regions, centroids_of_spots


class SpatialDataMixin:
    """Method that sets up a table of a SpatialData."""

    if TYPE_CHECKING:

        @classmethod
        def setup_anndata(cls, adata: AnnData, *args: Any, **kwargs: Any) -> None: ...

    @classmethod
    def setup_spatialdata(
        cls,
        sdata: Any,
        table: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        **kwargs: Any,
    ) -> None:
        """Set up a table of a SpatialData.

        The table itself is set up, so that models are made with ``sdata.tables[table]``, results are stored in it, and
        ``sdata.write_element(table)`` writes them.

        Parameters
        ----------
        sdata
            SpatialData object.
        table
            Name of the table. ``None``: the only one.
        slice_key
            Column of ``obs`` with the slice of each spot. ``None``: the column with the annotated regions, the
            ``region_key`` of the table.
        spatial_key
            Key of ``obsm`` with the coordinates. If it is missing, the centroids of the annotated elements are stored
            there, in the coordinate system ``"global"``.
        **kwargs
            Further arguments of ``setup_anndata``.

        Raises
        ------
        KeyError, TypeError, ValueError
            If there is no such table or it has no coordinates, and as ``setup_anndata``. The table is unchanged.

        Examples
        --------
        >>> import spotscape as sps
        >>> from types import SimpleNamespace
        >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=40)
        >>> sdata = SimpleNamespace(tables={"table": adata})  # in practice, `spatialdata.read_zarr(path)`
        >>> sps.SEDR.setup_spatialdata(sdata, slice_key="slice", layer="counts")
        >>> sps.SEDR(sdata.tables["table"]).adata is adata
        True
        """
        with located_table(sdata, table, spatial_key) as adata:
            if slice_key is None:
                slice_key = adata.uns.get("spatialdata_attrs", {}).get("region_key")
            cls.setup_anndata(adata, slice_key=slice_key, spatial_key=spatial_key, **kwargs)


@contextmanager
def located_table(sdata: Any, table: str | None, spatial_key: str) -> Iterator[AnnData]:
    """Table of a SpatialData for set-up, with coordinates. If set-up fails, it is left as it was.

    Parameters
    ----------
    sdata
        SpatialData object.
    table
        Name of the table. ``None``: the only one.
    spatial_key
        Key of ``obsm`` with the coordinates. If it is missing, the centroids of the annotated elements are stored
        there.

    Yields
    ------
    The table itself.
    """
    tables = getattr(sdata, "tables", None)
    if not isinstance(tables, Mapping):
        raise TypeError(f"Got a {type(sdata).__name__} where a SpatialData is needed; read one with `spatialdata`.")
    names = ", ".join(map(repr, tables)) or "none"
    if table is None and len(tables) != 1:
        raise ValueError(f"The SpatialData has {len(tables)} tables ({names}); name one in `table`.")
    if table is not None and table not in tables:
        raise KeyError(f"`table` is {table!r}, which is not a table of the SpatialData; it has {names}.")
    adata = next(iter(tables.values())) if table is None else tables[table]
    if spatial_key in adata.obsm:
        yield adata
        return
    regions = annotated_regions(adata)
    missing = [region for region in regions if region not in sdata]
    if missing or not regions:
        what = (
            f"annotates {missing[0]!r}, which is not an element of the SpatialData," if missing else "annotates nothing"
        )
        raise ValueError(f"The table {what} and has no `obsm[{spatial_key!r}]`; set the coordinates of its spots.")
    positions = centroids_of_spots(adata, lambda names: {name: sdata[name] for name in names})
    n_missing = int(np.isnan(positions).any(axis=1).sum())
    if n_missing:
        raise ValueError(
            f"{n_missing} spots of the table are in none of its elements ({', '.join(regions)}), so they have no "
            "position; remove them."
        )
    adata.obsm[spatial_key] = positions
    try:
        yield adata
    except BaseException:
        del adata.obsm[spatial_key]
        raise
