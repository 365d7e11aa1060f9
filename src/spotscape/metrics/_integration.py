"""How well slices are integrated: what is kept of the biology, and what is left of the slices, apart."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

#: Up to this number of spots neighbours are exact.
N_SPOTS_EXACT = 8192
N_NEIGHBORS_LISI = 90
N_NEIGHBORS_KBET = 50
N_NEIGHBORS_CONNECTIVITY = 15
#: Fewer spots than this, in all or of a label, say nothing about the mixing of slices.
_SMALLEST = 10


class IntegrationScores(NamedTuple):
    """Metrics by name in two groups, each between 0 and 1 and the larger, the better."""

    bio: dict[str, float]
    batch: dict[str, float]

    @property
    def bio_mean(self) -> float:
        """Mean of the first group; ``NaN`` where it is empty."""
        return _mean(self.bio)

    @property
    def batch_mean(self) -> float:
        """Mean of the second group; ``NaN`` where it is empty."""
        return _mean(self.batch)


def integration_scores(
    representation: ArrayLike,
    slices: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    unintegrated: ArrayLike | None = None,
    seed: int = 0,
) -> IntegrationScores:
    r"""Score the integration of slices by the metrics of scIB :cite:p:`Luecken2022`, with the slice as batch.

    There are two groups, and one number for both would hide what matters: a representation that is the same for all
    spots mixes the slices perfectly. The metrics are the functions of scib-metrics, called by their names, because
    which of them its ``Benchmarker`` reports differs between its versions. Needs the extra ``spotscape[scib]``.

    ``bio``, what is kept of the annotated domains:

    ``"cLISI"``
        One minus the excess number of labels among the 90 nearest neighbours :cite:p:`Korsunsky2019`.
    ``"silhouette label"``
        Mean silhouette of the labels, from :math:`[-1, 1]` to :math:`[0, 1]`.

    ``batch``, how far slices cannot be told apart:

    ``"iLISI"``
        Effective number :math:`L_i` of slices among the 90 nearest neighbours of a spot :cite:p:`Korsunsky2019`, as
        :math:`(\mathrm{median}_i \, L_i - 1) / (n_\mathrm{slices} - 1)`.
    ``"silhouette batch"``
        One minus the absolute silhouette of the slices, within each label.
    ``"kBET"``
        Share of neighbourhoods, within each label, whose slices do not differ significantly from those of the label
        :cite:p:`Buttner2019`.
    ``"graph connectivity"``
        Share of the spots of each label in the largest piece of its graph of 15 neighbours.
    ``"PCR comparison"``
        Share by which the variance that the slices explain falls against ``unintegrated``, 0 where it rises
        :cite:p:`Buttner2019`.

    Silhouette batch, kBET and graph connectivity compare slices within a label, so a domain that one slice lacks counts
    against nothing there. iLISI and PCR comparison know no labels and want such a domain mixed.

    Parameters
    ----------
    representation
        Integrated representation. ``(n_spots, n_dimensions)``.
    slices
        Slice of each spot; at least two slices. ``(n_spots,)``.
    labels
        Known domain of each spot. Spots without one (``None``, ``NaN``, ``pandas.NA``) are left out of all metrics that
        need labels. ``None``: these metrics are not in the answer. ``(n_spots,)``.
    unintegrated
        Representation of the same spots before integration, such as principal components. ``None``: PCR comparison is
        not in the answer. ``(n_spots, any number)``.
    seed
        Seed of the search for neighbours, which is exact up to 8,192 spots and approximate beyond.

    Returns
    -------
    Named tuple of the dicts ``bio`` and ``batch``, with the means ``bio_mean`` and ``batch_mean``. A metric that the
    data do not define is not in its dict: all labels in one slice each, or one label.

    Raises
    ------
    ValueError
        If lengths differ, there are fewer than two slices, a slice is missing, values are missing, infinite or all the
        same, or fewer than 10 spots are annotated.
    ImportError
        If scib-metrics is not installed.
    """
    values, slice_codes = check_matrix(representation, "representation"), _check_slices(slices)
    before = None if unintegrated is None else check_matrix(unintegrated, "unintegrated")
    label_codes = None if labels is None else pd.factorize(pd.Series(np.asarray(labels, dtype=object)), sort=False)[0]
    for name, other in (("slices", slice_codes), ("labels", label_codes), ("unintegrated", before)):
        if other is not None and len(other) != len(values):
            raise ValueError(
                f"`representation` has {len(values)} spots and `{name}` {len(other)}; pass the same spots in both."
            )
    n_annotated = len(values) if label_codes is None else int((label_codes >= 0).sum())
    if n_annotated < _SMALLEST:
        raise ValueError(
            f"Only {n_annotated} of {len(values)} spots {'are there' if label_codes is None else 'have a label'}; "
            f"neighbourhoods need at least {_SMALLEST}."
        )
    try:
        import scib_metrics
    except ImportError as error:
        raise ImportError('Scores of integration need scib-metrics; run: pip install "spotscape[scib]"') from error

    bio: dict[str, float] = {}
    batch = {"iLISI": float(scib_metrics.ilisi_knn(_neighbors(values, N_NEIGHBORS_LISI, seed), slice_codes))}
    if label_codes is not None:
        annotated = label_codes >= 0
        bio, within = _scores_of_labels(values[annotated], slice_codes[annotated], label_codes[annotated], seed)
        batch |= within
    if before is not None:
        batch["PCR comparison"] = _pcr_comparison(before, values, slice_codes)
    return IntegrationScores(bio, batch)


def _scores_of_labels(
    values: np.ndarray, slices: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    import scib_metrics

    bio: dict[str, float] = {}
    batch: dict[str, float] = {}
    neighbors = _neighbors(values, N_NEIGHBORS_LISI, seed)
    if len(np.unique(labels)) > 1:
        bio["cLISI"] = float(scib_metrics.clisi_knn(neighbors, labels))
        bio["silhouette label"] = float(scib_metrics.silhouette_label(values, labels))
    per_label = pd.DataFrame({"label": labels, "slice": slices}).groupby("label")["slice"].agg(["nunique", "size"])
    shared = per_label["nunique"] > 1
    if (shared & (per_label["nunique"] < per_label["size"])).any():
        batch["silhouette batch"] = float(scib_metrics.silhouette_batch(values, labels, slices))
    if (shared & (per_label["size"] >= _SMALLEST)).any():
        fewer = neighbors.subset_neighbors(min(N_NEIGHBORS_KBET, neighbors.n_neighbors))
        batch["kBET"] = float(scib_metrics.kbet_per_label(fewer, slices, labels))
    fewer = neighbors.subset_neighbors(min(N_NEIGHBORS_CONNECTIVITY, neighbors.n_neighbors))
    batch["graph connectivity"] = float(scib_metrics.graph_connectivity(fewer, labels))
    return bio, batch


def _neighbors(values: np.ndarray, n_neighbors: int, seed: int) -> Any:
    """Nearest neighbours of each spot, itself among them, as scib-metrics takes them."""
    from scib_metrics.nearest_neighbors import NeighborsResults

    n_neighbors = min(n_neighbors, len(values))
    if len(values) <= N_SPOTS_EXACT:
        from sklearn.neighbors import NearestNeighbors

        distances, indices = NearestNeighbors(n_neighbors=n_neighbors).fit(values).kneighbors(values)
    else:
        from pynndescent import NNDescent

        indices, distances = NNDescent(values, n_neighbors=n_neighbors, random_state=seed).neighbor_graph
    return NeighborsResults(indices=indices, distances=distances)


def _pcr_comparison(before: np.ndarray, after: np.ndarray, slices: np.ndarray) -> float:
    import scib_metrics

    with warnings.catch_warnings():
        # A rise is cut to zero, which the warning says; so does the documentation.
        warnings.filterwarnings("ignore", message="PCR comparison score is negative")
        return float(scib_metrics.pcr_comparison(before, after, slices, categorical=True))


def check_matrix(values: ArrayLike, name: str) -> np.ndarray:
    """Representation as a matrix of finite numbers that are not all the same. ``(n_spots, n_dimensions)``."""
    try:
        matrix = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` is not numeric; pass a matrix of numbers.") from error
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(f"`{name}` has shape {matrix.shape}; pass a matrix with one row a spot.")
    n_wrong = int((~np.isfinite(matrix)).sum())
    if n_wrong:
        raise ValueError(f"`{name}` has {n_wrong} missing or infinite values; leave out the spots that have them.")
    if not (matrix != matrix[:1]).any():
        raise ValueError(f"`{name}` is the same for all {len(matrix)} spots; train again, or leave it out.")
    return np.ascontiguousarray(matrix)


def _check_slices(slices: ArrayLike) -> np.ndarray:
    codes, names = pd.factorize(pd.Series(np.asarray(slices, dtype=object)), sort=False)
    if (codes < 0).any():
        raise ValueError(
            f"`slices` has {int((codes < 0).sum())} missing values; give every spot a slice, or leave these spots out."
        )
    if len(names) < 2:
        raise ValueError(f"`slices` has {len(names)} slice(s); there is nothing to integrate, pass at least two.")
    return codes.astype(np.int64)


def _mean(group: dict[str, float]) -> float:
    return float(np.mean(list(group.values()))) if group else float("nan")
