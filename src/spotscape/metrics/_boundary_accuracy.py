"""Clustering accuracy at the boundaries of domains and in their interior."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from spotscape._validate import numeric_array
from spotscape.metrics._clustering_accuracy import is_correct
from spotscape.metrics._labels import drop_unannotated


class BoundaryAccuracy(NamedTuple):
    """Clustering accuracy at boundary spots and at interior spots.

    Attributes
    ----------
    boundary, interior
        Accuracy at these spots, between 0 and 1; ``NaN`` if there are no such spots.
    n_boundary, n_interior
        Number of these spots.

    Examples
    --------
    >>> from spotscape.metrics import BoundaryAccuracy
    >>> accuracy = BoundaryAccuracy(boundary=0.5, interior=0.9, n_boundary=100, n_interior=300)
    >>> accuracy.interior - accuracy.boundary
    0.4
    """

    boundary: float
    interior: float
    n_boundary: int
    n_interior: int


def boundary_accuracy(labels_true: ArrayLike, labels_pred: ArrayLike, connectivities: Any) -> BoundaryAccuracy:
    """Compute the clustering accuracy separately for spots at domain boundaries and for interior spots.

    A boundary spot is an annotated spot with at least one annotated spatial neighbour with another true label. Clusters
    are matched to true labels once, on all annotated spots, so that both numbers refer to the same matching; see
    :func:`clustering_accuracy`.

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots without a label (``None``, ``NaN`` or ``pandas.NA``) are ignored, also as
        neighbours. ``(n_spots,)``.
    labels_pred
        Predicted label of each spot, in the same order. The labels need not have the same names. ``(n_spots,)``.
    connectivities
        Sparse spatial graph, such as ``adata.obsp["spatial_connectivities"]``. Spot j is a neighbour of spot i if the
        entry in row i and column j is not 0; its weight and the diagonal are ignored. ``(n_spots, n_spots)``.

    Returns
    -------
    Named tuple with the accuracies ``boundary`` and ``interior``, each between 0 and 1 or ``NaN`` if there is no such
    spot, and the numbers of spots ``n_boundary`` and ``n_interior``.

    Raises
    ------
    ValueError
        If the lengths differ, a predicted label is missing, no spot is annotated, or the shape of the graph is wrong.

    Examples
    --------
    Six spots in a row. The wrong one is at the boundary of the two domains:

    >>> from scipy.sparse import diags_array
    >>> from spotscape.metrics import boundary_accuracy
    >>> graph = diags_array([[1.0] * 5, [1.0] * 5], offsets=[-1, 1])
    >>> boundary_accuracy(["a", "a", "a", "b", "b", "b"], [1, 1, 2, 2, 2, 2], graph)
    BoundaryAccuracy(boundary=0.5, interior=1.0, n_boundary=2, n_interior=4)
    """
    labels = drop_unannotated(labels_true, labels_pred)
    n_spots = len(labels.annotated)
    if not sparse.issparse(connectivities):
        connectivities = numeric_array(connectivities, "connectivities")
    if np.shape(connectivities) != (n_spots, n_spots):
        raise ValueError(
            f"`connectivities` has shape {np.shape(connectivities)} for {n_spots} spots; "
            f"pass the spatial graph of these spots, of shape ({n_spots}, {n_spots})."
        )
    if not np.isfinite(sparse.csr_array(connectivities).data).all():
        raise ValueError("`connectivities` has missing or infinite values; pass the spatial graph of these spots.")
    graph = sparse.coo_array(sparse.csr_array(connectivities)[labels.annotated][:, labels.annotated])
    # Entries on the diagonal need no special case: a spot never differs from itself.
    differs = (labels.true[graph.row] != labels.true[graph.col]) & (graph.data != 0)
    at_boundary = np.zeros(len(labels.true), dtype=bool)
    at_boundary[graph.row[differs]] = True
    correct = is_correct(labels.true, labels.pred)
    return BoundaryAccuracy(
        boundary=_mean(correct[at_boundary]),
        interior=_mean(correct[~at_boundary]),
        n_boundary=int(at_boundary.sum()),
        n_interior=int((~at_boundary).sum()),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
