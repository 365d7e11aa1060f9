"""Integration metrics in two groups: conservation of biological variation and mixing of slices."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from spotscape._arguments import check_call
from spotscape._validate import numeric_array, shown
from spotscape.metrics._labels import encode_labels

#: Maximum number of spots for an exact neighbour search; above, the search is approximate.
N_SPOTS_EXACT = 8192
N_NEIGHBORS_LISI = 90
N_NEIGHBORS_KBET = 50
N_NEIGHBORS_CONNECTIVITY = 15
#: Minimum number of spots, in total or of a label, to measure the mixing of slices.
_MIN_SPOTS = 10


class IntegrationScores(NamedTuple):
    """Integration metrics in two groups. All metrics are between 0 and 1, and larger values are better.

    Attributes
    ----------
    bio
        Metrics of the conservation of biological variation, by name.
    batch
        Metrics of the mixing of slices, by name.

    Examples
    --------
    >>> from spotscape.metrics import IntegrationScores
    >>> scores = IntegrationScores(bio={"cLISI": 0.75, "silhouette label": 0.25}, batch={"iLISI": 0.75})
    >>> scores.bio_mean, scores.batch_mean
    (0.5, 0.75)
    """

    bio: dict[str, float]
    batch: dict[str, float]

    @property
    def bio_mean(self) -> float:
        """Mean of the metrics in ``bio``; ``NaN`` if there are none."""
        return _mean(self.bio)

    @property
    def batch_mean(self) -> float:
        """Mean of the metrics in ``batch``; ``NaN`` if there are none."""
        return _mean(self.batch)


def integration_scores(
    representation: ArrayLike,
    slices: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    unintegrated: ArrayLike | None = None,
    seed: int = 0,
) -> IntegrationScores:
    r"""Compute the integration metrics of scIB :cite:p:`Luecken2022`, with the slices as batches.

    The two groups of metrics should be read together: a representation that is the same for all spots mixes the slices
    perfectly but contains no biological variation. The metrics are computed by the functions of scib-metrics and not by
    its ``Benchmarker``, which reports different metrics in different versions. Needs the extra ``spotscape[scib]``.

    ``bio``, conservation of the annotated domains:

    ``"cLISI"``
        Purity of the labels among the 90 nearest neighbours :cite:p:`Korsunsky2019`, as
        :math:`(n_\mathrm{labels} - \mathrm{median}_i \, L_i) / (n_\mathrm{labels} - 1)` with the effective number
        :math:`L_i` of labels around spot :math:`i`.
    ``"silhouette label"``
        Mean silhouette coefficient of the labels, rescaled from :math:`[-1, 1]` to :math:`[0, 1]`.

    ``batch``, mixing of the slices:

    ``"iLISI"``
        Effective number :math:`L_i` of slices among the 90 nearest neighbours of spot :math:`i`
        :cite:p:`Korsunsky2019`, as :math:`(\mathrm{median}_i \, L_i - 1) / (n_\mathrm{slices} - 1)`.
    ``"silhouette batch"``
        One minus the absolute silhouette coefficient of the slices, within each label.
    ``"kBET"``
        Share of neighbourhoods, within each label, whose composition of slices does not differ significantly from that
        of the label :cite:p:`Buttner2019`.
    ``"graph connectivity"``
        Share of the spots of each label in the largest connected component of its graph of 15 neighbours.
    ``"PCR comparison"``
        Relative decrease of the variance explained by the slices compared with ``unintegrated``, or 0 if this variance
        increases :cite:p:`Buttner2019`.

    Silhouette batch, kBET and graph connectivity compare slices within a label, so a domain that is absent from one
    slice does not lower them. iLISI and PCR comparison do not use labels, and such a domain lowers them unless it is
    mixed with other domains.

    Parameters
    ----------
    representation
        Integrated representation. ``(n_spots, n_dimensions)``.
    slices
        Slice of each spot. At least two slices. ``(n_spots,)``.
    labels
        Known domain of each spot. Spots without a label (``None``, ``NaN`` or ``pandas.NA``) are ignored by the metrics
        that use labels. ``None``: these metrics are not computed. ``(n_spots,)``.
    unintegrated
        Representation of the same spots before integration, such as principal components. ``None``: PCR comparison is
        not computed. ``(n_spots, n_other_dimensions)``.
    seed
        Seed of the neighbour search, which is exact up to 8,192 spots and approximate above.

    Returns
    -------
    Named tuple of the dicts ``bio`` and ``batch``, with the means ``bio_mean`` and ``batch_mean``. Metrics that are not
    defined for the data are omitted, for example if there is only one label or if every label is in a single slice.

    Raises
    ------
    ValueError
        If lengths differ, there are fewer than two slices, a slice is missing, values are missing, infinite or all the
        same, or there are fewer than 10 spots or fewer than 10 labelled spots.
    ImportError
        If scib-metrics is not installed.

    Examples
    --------
    Two slices, first well mixed and then separated by a batch effect:

    >>> import numpy as np
    >>> from spotscape.metrics import integration_scores
    >>> slices = np.repeat(["left", "right"], 200)
    >>> mixed = np.random.default_rng(0).normal(size=(400, 5))
    >>> separated = mixed + 10 * (slices == "left")[:, None]
    >>> [round(integration_scores(values, slices).batch["iLISI"], 1) for values in (mixed, separated)]
    [0.9, 0.0]
    """
    check_call(integration_scores, locals())
    values, slice_codes = check_matrix(representation, "representation"), _check_slices(slices)
    values_before = None if unintegrated is None else check_matrix(unintegrated, "unintegrated")
    label_codes = None if labels is None else encode_labels(labels, "labels")
    for name, other in (("slices", slice_codes), ("labels", label_codes), ("unintegrated", values_before)):
        if other is not None and len(other) != len(values):
            raise ValueError(
                f"`representation` has {len(values)} spots and `{name}` {len(other)}; pass the same spots in both."
            )
    if len(values) < _MIN_SPOTS:
        raise ValueError(f"`representation` has {len(values)} spots; pass at least {_MIN_SPOTS}.")
    n_labelled = len(values) if label_codes is None else int((label_codes >= 0).sum())
    if n_labelled < _MIN_SPOTS:
        raise ValueError(
            f"Only {n_labelled} of {len(values)} spots have a label; label at least {_MIN_SPOTS}, or omit `labels`."
        )
    try:
        import scib_metrics
    except ImportError as error:
        raise ImportError('`integration_scores` needs scib-metrics; run: pip install "spotscape[scib]"') from error

    bio: dict[str, float] = {}
    batch = {"iLISI": float(scib_metrics.ilisi_knn(_neighbors(values, N_NEIGHBORS_LISI, seed), slice_codes))}
    if label_codes is not None:
        annotated = label_codes >= 0
        bio, batch_within_labels = _label_based_metrics(
            values[annotated], slice_codes[annotated], label_codes[annotated], seed
        )
        batch |= batch_within_labels
    if values_before is not None:
        with warnings.catch_warnings():
            # The warning says that a negative score is set to zero, which the documentation states.
            warnings.filterwarnings("ignore", message="PCR comparison score is negative")
            decrease = scib_metrics.pcr_comparison(values_before, values, slice_codes, categorical=True)
        batch["PCR comparison"] = float(decrease)
    return IntegrationScores(bio, batch)


def _label_based_metrics(
    values: np.ndarray, slices: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Metrics of both groups that use labels, as far as the data define them."""
    import scib_metrics

    bio: dict[str, float] = {}
    batch: dict[str, float] = {}
    neighbors = _neighbors(values, N_NEIGHBORS_LISI, seed)
    if len(np.unique(labels)) > 1:
        bio["cLISI"] = float(scib_metrics.clisi_knn(neighbors, labels))
        bio["silhouette label"] = float(scib_metrics.silhouette_label(values, labels))
    counts = pd.DataFrame({"label": labels, "slice": slices}).groupby("label")["slice"].agg(["nunique", "size"])
    in_several_slices = counts["nunique"] > 1
    if (in_several_slices & (counts["nunique"] < counts["size"])).any():
        batch["silhouette batch"] = float(scib_metrics.silhouette_batch(values, labels, slices))
    if (in_several_slices & (counts["size"] >= _MIN_SPOTS)).any():
        nearest = neighbors.subset_neighbors(min(N_NEIGHBORS_KBET, neighbors.n_neighbors))
        batch["kBET"] = float(scib_metrics.kbet_per_label(nearest, slices, labels))
    nearest = neighbors.subset_neighbors(min(N_NEIGHBORS_CONNECTIVITY, neighbors.n_neighbors))
    batch["graph connectivity"] = float(scib_metrics.graph_connectivity(nearest, labels))
    return bio, batch


def _neighbors(values: np.ndarray, n_neighbors: int, seed: int) -> Any:
    """Nearest neighbours of each spot, including the spot itself, in the format of scib-metrics."""
    from scib_metrics.nearest_neighbors import NeighborsResults

    n_neighbors = min(n_neighbors, len(values))
    if len(values) <= N_SPOTS_EXACT:
        from sklearn.neighbors import NearestNeighbors

        distances, indices = NearestNeighbors(n_neighbors=n_neighbors).fit(values).kneighbors(values)
    else:
        from pynndescent import NNDescent

        indices, distances = NNDescent(values, n_neighbors=n_neighbors, random_state=seed).neighbor_graph
    return NeighborsResults(indices=indices, distances=distances)


def check_matrix(values: ArrayLike, name: str) -> np.ndarray:
    """Convert a representation to a matrix; raise unless it has finite numbers that are not all the same."""
    matrix = numeric_array(values, name).astype(np.float32)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(f"`{name}` is {shown(values)}, of shape {matrix.shape}; pass a matrix with one row per spot.")
    n_wrong = int((~np.isfinite(matrix)).sum())
    if n_wrong:
        raise ValueError(f"`{name}` has {n_wrong} missing or infinite values; remove the spots that have them.")
    if not (matrix != matrix[:1]).any():
        raise ValueError(
            f"`{name}` is the same for all {len(matrix)} spots; pass a representation that differs between spots."
        )
    return np.ascontiguousarray(matrix)


def _check_slices(slices: ArrayLike) -> np.ndarray:
    codes = encode_labels(slices, "slices")
    n_slices = int(codes.max(initial=-1)) + 1
    if (codes < 0).any():
        raise ValueError(
            f"`slices` has {int((codes < 0).sum())} missing values; give every spot a slice, or remove these spots."
        )
    if n_slices < 2:
        raise ValueError(f"`slices` has {n_slices} slice(s); there is nothing to integrate, pass at least two.")
    return codes


def _mean(metrics: dict[str, float]) -> float:
    return float(np.mean(list(metrics.values()))) if metrics else float("nan")
