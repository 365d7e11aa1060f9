"""How well found domains agree with labels, and how well the slices of a section are mixed."""

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

import spotscape as sps
from benchmarks.common.reading import Section
from benchmarks.common.readouts import has_collapsed

N_NEIGHBORS_INTEGRATION = 15


def score(section: Section, found: np.ndarray) -> dict[str, float]:
    """Compare found domains with the labels."""
    values = sps.metrics.scores(section.labels, found)
    boundary = sps.metrics.boundary_accuracy(section.labels, found, section.graph)
    return {
        "ari": values["ARI"],
        "nmi": values["NMI"],
        "ca": values["CA"],
        "boundary_ca": boundary.boundary,
        "interior_ca": boundary.interior,
    }


def integration_scores(representation: np.ndarray, labels: np.ndarray, slices: np.ndarray) -> dict[str, float]:
    """Compute scib-metrics with the slice as batch; missing where the representation has collapsed."""
    from scib_metrics import graph_connectivity, silhouette_batch
    from scib_metrics.nearest_neighbors import NeighborsResults

    if has_collapsed(representation, len(np.unique(labels))):
        return {}
    n_neighbors = min(N_NEIGHBORS_INTEGRATION, len(labels))
    distances, indices = NearestNeighbors(n_neighbors=n_neighbors).fit(representation).kneighbors(representation)
    result = {"graph_connectivity": float(graph_connectivity(NeighborsResults(indices, distances), labels))}
    # A label of one slice says nothing about batches.
    if pd.Series(slices).groupby(labels).nunique().max() > 1:
        result["silhouette_batch"] = float(silhouette_batch(representation, labels, slices))
    return result
