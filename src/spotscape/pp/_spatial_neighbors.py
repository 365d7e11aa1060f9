"""Spatial neighbours of the spots of an AnnData."""

from collections.abc import Hashable, Iterable
from dataclasses import replace

from anndata import AnnData

from spotscape.graph._build import build_spatial_graph
from spotscape.graph._storage import write_graph


def spatial_neighbors(
    adata: AnnData,
    *,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    method: str = "knn",
    n_neighbors: int | None = None,
    radius: float | None = None,
    key_added: str = "spatial",
    copy: bool = False,
) -> AnnData | None:
    """Find the spatial neighbours of every spot inside its slice and store them as squidpy does.

    Parameters
    ----------
    adata
        Spots with their positions.
    slice_key
        Column of ``adata.obs`` that tells the slices apart; no edge joins two slices. ``None`` (the default) means
        that all spots are of one slice.
    spatial_key
        Entry of ``adata.obsm`` with the positions, shape ``(n_spots, 2)`` or ``(n_spots, 3)``, in any unit.
    method
        ``"knn"`` (the default), ``"radius"`` or ``"delaunay"``, see :func:`spotscape.graph.build_spatial_graph`.
    n_neighbors
        For ``"knn"``: number of nearest spots. ``None`` (the default) follows the size of each slice.
    radius
        For ``"radius"`` (by default 1.5) and ``"delaunay"`` (by default no limit): the longest edge, as a multiple of
        the median nearest-neighbour distance of the slice.
    key_added
        Prefix of the keys; the default is squidpy's. A graph under it is replaced.
    copy
        Whether to leave ``adata`` as it is and return a copy with the graph.

    Returns
    -------
    ``None``, or the copy. Sets ``obsp[f"{key_added}_connectivities"]`` (binary, float32),
    ``obsp[f"{key_added}_distances"]`` (float64, in the unit of the coordinates) and ``uns[f"{key_added}_neighbors"]``.

    Raises
    ------
    KeyError
        If ``slice_key`` or ``spatial_key`` is not in ``adata``.
    ValueError
        If the graph cannot be built, see :func:`spotscape.graph.build_spatial_graph`; ``adata`` is left as it was.

    Examples
    --------
    >>> sps.pp.spatial_neighbors(adata, slice_key="slice")
    >>> adata.obsp["spatial_connectivities"]
    """
    if spatial_key not in adata.obsm:
        raise KeyError(
            f"`spatial_key` is {spatial_key!r}, which is not in `adata.obsm` (it has {_names(adata.obsm)}); pass the "
            "entry with the positions."
        )
    if slice_key is not None and slice_key not in adata.obs:
        raise KeyError(
            f"`slice_key` is {slice_key!r}, which is not a column of `adata.obs` (it has {_names(adata.obs)}); pass "
            "the column that tells the slices apart."
        )
    graph = build_spatial_graph(
        adata.obsm[spatial_key],
        None if slice_key is None else adata.obs[slice_key],
        method=method,
        n_neighbors=n_neighbors,
        radius=radius,
    )
    graph = replace(graph, params=graph.params | {"slice_key": slice_key, "spatial_key": spatial_key})
    target = adata.copy() if copy else adata
    write_graph(target, graph, key=key_added)
    return target if copy else None


def _names(keys: Iterable[Hashable]) -> str:
    return ", ".join(repr(key) for key in keys) or "nothing"
