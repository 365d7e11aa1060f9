"""Storage of spatial graphs in an AnnData, in the format of squidpy and scanpy."""

from collections.abc import Mapping
from typing import Any

from anndata import AnnData
from numpy.typing import ArrayLike
from scipy import sparse

from spotscape._uns import without_none
from spotscape._validate import check_choice
from spotscape.graph._build import BUILDER, METHODS, SpatialGraph, build_spatial_graph, graph_parameters
from spotscape.graph._checks import as_positions, encode_slices, validate_graph


def write_graph(adata: AnnData, graph: SpatialGraph, *, key: str = "spatial") -> None:
    """Store a graph in an AnnData, in the format of squidpy.

    Adds ``obsp[f"{key}_connectivities"]``, ``obsp[f"{key}_distances"]`` and ``uns[f"{key}_neighbors"]`` with the names
    of both and the parameters. Existing entries are replaced.

    Parameters
    ----------
    adata
        AnnData with the spots in the order of the graph.
    graph
        The graph.
    key
        Prefix of the three keys; the default is that of squidpy.

    Raises
    ------
    ValueError
        If the graph has a different number of spots.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> sps.graph.write_graph(adata, sps.graph.build_spatial_graph(adata.obsm["spatial"]))
    >>> list(adata.obsp), list(adata.uns["spatial_neighbors"])
    (['spatial_connectivities', 'spatial_distances'], ['connectivities_key', 'distances_key', 'params'])
    """
    for name, matrix in (("connectivities", graph.connectivities), ("distances", graph.distances)):
        if matrix.shape != (adata.n_obs, adata.n_obs):
            raise ValueError(
                f"The {name} have shape {matrix.shape}, but `adata` has {adata.n_obs} spots; build the graph from "
                "this `adata`."
            )
    adata.obsp[f"{key}_connectivities"] = graph.connectivities
    adata.obsp[f"{key}_distances"] = graph.distances
    adata.uns[f"{key}_neighbors"] = {
        "connectivities_key": f"{key}_connectivities",
        "distances_key": f"{key}_distances",
        "params": without_none(graph.params),
    }


def read_graph(adata: AnnData, key: str = "spatial") -> sparse.csr_matrix | None:
    """Read the connectivities that this package, squidpy or scanpy stored.

    They are not checked; see :func:`validate_graph`.

    Parameters
    ----------
    adata
        AnnData with or without a stored graph.
    key
        Prefix of the keys, as in :func:`write_graph`.

    Returns
    -------
    Connectivities, or ``None`` if no graph is stored. ``(n_spots, n_spots)``.

    Raises
    ------
    ValueError
        If the stored matrix is dense.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> sps.graph.read_graph(adata) is None
    True
    >>> sps.pp.spatial_neighbors(adata)
    >>> sps.graph.read_graph(adata).shape
    (60, 60)
    """
    name = str(_entry(adata, key).get("connectivities_key", f"{key}_connectivities"))
    if name not in adata.obsp:
        return None
    stored = adata.obsp[name]
    if not sparse.issparse(stored):
        raise ValueError(
            f"`adata.obsp[{name!r}]` is a {type(stored).__name__}; store a sparse matrix, for example "
            "`scipy.sparse.csr_matrix(graph)`."
        )
    return sparse.csr_matrix(stored)


def ensure_graph(
    adata: AnnData,
    *,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    method: str = "knn",
    n_neighbors: int | None = None,
    radius: float | None = None,
    key: str = "spatial",
) -> sparse.csr_matrix:
    """Return the graph with the given parameters, after building and storing it if necessary.

    A stored graph of this package is reused if its parameters, coordinates and slices are the same, and replaced
    otherwise. A graph from another tool is never replaced, and used only with ``method="precomputed"``.

    Parameters
    ----------
    adata
        AnnData. The graph is stored as by :func:`write_graph`.
    slice_key
        Column of ``adata.obs`` with the slices. ``None``: all spots belong to one slice.
    spatial_key
        Key of ``adata.obsm`` with the coordinates, not needed for ``method="precomputed"``.
    method
        As in :func:`build_spatial_graph`, or ``"precomputed"`` to use the stored graph of any tool.
    n_neighbors, radius
        As in :func:`build_spatial_graph`; not for ``"precomputed"``.
    key
        Prefix of the keys, as in :func:`write_graph`.

    Returns
    -------
    Connectivities, float32. ``(n_spots, n_spots)``.

    Raises
    ------
    ValueError
        If a graph of another tool is stored under ``key``; if there is no valid graph for ``"precomputed"``, see
        :func:`validate_graph`; or if the graph cannot be built, see :func:`build_spatial_graph`.
    """
    check_choice(method, (*METHODS, "precomputed"), "method")
    slices = None if slice_key is None else adata.obs[slice_key].to_numpy()
    if method == "precomputed":
        return _precomputed(adata, slices, n_neighbors, radius, key)
    positions = as_positions(adata.obsm[spatial_key])
    codes, _ = encode_slices(slices, adata.n_obs)
    keys = {"slice_key": slice_key, "spatial_key": spatial_key}
    params = graph_parameters(positions, codes, method=method, n_neighbors=n_neighbors, radius=radius) | keys
    stored = read_graph(adata, key)
    if stored is not None:
        made_with = _entry(adata, key).get("params")
        if not isinstance(made_with, Mapping) or made_with.get("builder") != BUILDER:
            raise ValueError(
                f'`adata` already holds a graph under {key!r} that was made elsewhere; use "precomputed" to '
                "take it as it is, or another `graph_key` to keep both."
            )
        # `get`, because entries that are None are not stored.
        if all(made_with.get(name) == params.get(name) for name in {*made_with, *params}):
            return stored
    graph = build_spatial_graph(positions, slices, method=method, n_neighbors=n_neighbors, radius=radius)
    graph.params.update(keys)
    write_graph(adata, graph, key=key)
    return graph.connectivities


def _precomputed(
    adata: AnnData, slices: ArrayLike | None, n_neighbors: int | None, radius: float | None, key: str
) -> sparse.csr_matrix:
    for name, value in (("n_neighbors", n_neighbors), ("radius", radius)):
        if value is not None:
            raise ValueError(f'`{name}` is {value}, but "precomputed" does not use it; leave it out.')
    stored = read_graph(adata, key)
    if stored is None:
        raise ValueError(
            f'"precomputed" needs a graph in `adata.obsp["{key}_connectivities"]`, and there is none; run '
            "`spotscape.pp.spatial_neighbors` or `squidpy.gr.spatial_neighbors` first, or pass the `graph_key` under "
            "which it is stored."
        )
    named = _entry(adata, key).get("connectivities_key")
    if named not in (None, f"{key}_connectivities"):
        raise ValueError(
            f"`adata.uns['{key}_neighbors']` names the graph {named!r}, not '{key}_connectivities'; store it under the "
            f"usual name, or pass the `graph_key` {str(named).removesuffix('_connectivities')!r}."
        )
    graph = validate_graph(stored, slices)
    if not graph.nnz:
        raise ValueError(
            f"The graph in `adata.obsp['{key}_connectivities']` has no edges between different spots; build it again "
            "with `spotscape.pp.spatial_neighbors`."
        )
    return graph


def _entry(adata: AnnData, key: str) -> Mapping[str, Any]:
    """Entry of ``uns`` about a graph; empty if there is none."""
    entry = adata.uns.get(f"{key}_neighbors")
    return entry if isinstance(entry, Mapping) else {}
