"""Spatial neighbour graph of the spots of an AnnData."""

from collections.abc import Hashable, Iterable

from anndata import AnnData

from spotscape._arguments import check_call
from spotscape._places import Places
from spotscape._validate import check_present
from spotscape.graph._build import build_spatial_graph
from spotscape.graph._checks import as_positions, encode_slices
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
    """Compute the graph of spatial neighbours within each slice and store it in the format of squidpy.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots with positions.
    slice_key
        Column of ``adata.obs`` with the slice of each spot; no edge connects two slices. ``None`` (the default) means
        that all spots belong to one slice.
    spatial_key
        Key in ``adata.obsm`` of the positions, shape ``(n_spots, 2)`` or ``(n_spots, 3)``, in any unit.
    method
        ``"knn"`` (the default), ``"radius"`` or ``"delaunay"``, see :func:`spotscape.graph.build_spatial_graph`.
    n_neighbors
        For ``"knn"``: number of nearest spots. ``None`` (the default): chosen by the number of spots of each slice.
    radius
        For ``"radius"`` (by default 1.5) and ``"delaunay"`` (by default no limit): the largest length of an edge, as a
        multiple of the median nearest-neighbour distance of the slice.
    key_added
        Prefix of the keys; the default is that of squidpy. An existing graph with this prefix is replaced.
    copy
        Return a copy of ``adata`` with the graph instead of writing to ``adata``.

    Returns
    -------
    ``None``, or the copy. Sets ``obsp[f"{key_added}_connectivities"]`` (binary, float32),
    ``obsp[f"{key_added}_distances"]`` (float64, in the unit of the coordinates) and ``uns[f"{key_added}_neighbors"]``.

    Raises
    ------
    KeyError
        If ``slice_key`` or ``spatial_key`` is not in ``adata``.
    ValueError
        If the graph cannot be built, see :func:`spotscape.graph.build_spatial_graph`; ``adata`` is unchanged.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=100)
    >>> sps.pp.spatial_neighbors(adata, slice_key="slice", n_neighbors=6)
    >>> adata.obsp["spatial_connectivities"].shape
    (200, 200)
    >>> adata.uns["spatial_neighbors"]["params"]["n_neighbors"]
    6
    """
    check_call(spatial_neighbors, locals())
    check_present(spatial_key, "spatial_key", adata.obsm, "adata.obsm")
    if slice_key is not None:
        check_present(slice_key, "slice_key", adata.obs, "adata.obs")
    places = Places.of(adata, slice_key)
    as_positions(adata.obsm[spatial_key], places)
    encode_slices(None if slice_key is None else adata.obs[slice_key], adata.n_obs, places)
    graph = build_spatial_graph(
        adata.obsm[spatial_key],
        None if slice_key is None else adata.obs[slice_key],
        method=method,
        n_neighbors=n_neighbors,
        radius=radius,
    )
    graph.params.update(slice_key=slice_key, spatial_key=spatial_key)
    target = adata.copy() if copy else adata
    write_graph(target, graph, key=key_added)
    return target if copy else None


def _names(keys: Iterable[Hashable]) -> str:
    return ", ".join(repr(key) for key in keys) or "nothing"
