"""Clustering accuracy at the boundaries of the domains and inside them, apart."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from spotscape.metrics._clustering_accuracy import is_right
from spotscape.metrics._labels import drop_unannotated


class BoundaryAccuracy(NamedTuple):
    """Clustering accuracy at boundary spots and at interior spots; ``NaN`` where there are no such spots."""

    boundary: float
    interior: float
    n_boundary: int
    n_interior: int


def boundary_accuracy(labels_true: ArrayLike, labels_pred: ArrayLike, connectivities: Any) -> BoundaryAccuracy:
    """Split the clustering accuracy into spots at the boundaries of domains and spots inside.

    A boundary spot is an annotated spot with at least one annotated spatial neighbour of another true label. Clusters
    are matched with classes once, on all annotated spots, so that both numbers speak of the same matching.

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots whose label is missing (``None``, ``NaN``, ``pandas.NA``) are left out, also as
        neighbours. ``(n_spots,)``.
    labels_pred
        Found label of each spot, compared by position. ``(n_spots,)``.
    connectivities
        Spatial graph; an entry other than 0 in row i and column j makes j a neighbour of i, whatever its weight. A spot
        is no neighbour of itself. ``(n_spots, n_spots)``, sparse, such as ``adata.obsp["spatial_connectivities"]``.

    Returns
    -------
    Named tuple with ``boundary`` and ``interior``, each between 0 and 1 and ``NaN`` where there is no such spot, and
    the numbers of spots ``n_boundary`` and ``n_interior`` behind them.

    Raises
    ------
    ValueError
        If the lengths differ, a found label is missing, no spot is annotated, or the graph has another shape.
    """
    labels = drop_unannotated(labels_true, labels_pred)
    n_spots = len(labels.annotated)
    if np.shape(connectivities) != (n_spots, n_spots):
        raise ValueError(
            f"`connectivities` has shape {np.shape(connectivities)} for {n_spots} spots; "
            f"pass the spatial graph of these spots, of shape ({n_spots}, {n_spots})."
        )
    graph = sparse.coo_array(sparse.csr_array(connectivities)[labels.annotated][:, labels.annotated])
    # A spot has its own label, so an entry on the diagonal never makes it a boundary spot.
    differs = (labels.true[graph.row] != labels.true[graph.col]) & (graph.data != 0)
    at_boundary = np.zeros(len(labels.true), dtype=bool)
    at_boundary[graph.row[differs]] = True
    right = is_right(labels.true, labels.pred)
    return BoundaryAccuracy(
        boundary=_mean(right[at_boundary]),
        interior=_mean(right[~at_boundary]),
        n_boundary=int(at_boundary.sum()),
        n_interior=int((~at_boundary).sum()),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
