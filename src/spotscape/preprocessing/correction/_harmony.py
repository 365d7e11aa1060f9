"""Harmony, which can also be applied to new spots and slices."""

from typing import Self

import harmonypy
import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from spotscape.preprocessing._subsample import evenly_spaced_rows
from spotscape.preprocessing.correction._base import Correction, Names, Values

_THETA, _SIGMA, _RIDGE, _MAX_ITER = 2.0, 0.1, 1.0, 10
_N_SPOTS_PER_CLUSTER, _MAX_CLUSTERS = 30, 100
_ROUNDS = 5
_BLOCK = 8192
_N_SPOTS_FIT = 20_000


class Harmony(Correction):
    r"""Harmony :cite:p:`Korsunsky2019`, which can also be applied to new spots and slices.

    Harmony estimates soft memberships :math:`R` of the spots in clusters and, by ridge regression, the shift
    :math:`W_{ks}` of each slice in each cluster. The shifts and the directions :math:`Y_k` of the clusters in the
    corrected space are stored. A spot of slice :math:`s` is corrected by

    .. math::

        \hat x = x - \sum_k r_k(\hat x)\, W_{ks}, \qquad
        r_k \propto \exp\left(-\frac{2 (1 - \cos(\hat x, Y_k))}{\sigma}\right)

    Both equations are solved alternately, starting from the mean shift of the slice. The memberships of a new slice are
    computed in the same way; its shifts are estimated by ridge regression in which the training spots are represented
    by the sums over each cluster, as in Symphony :cite:p:`Kang2021`.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.preprocessing import Harmony
    >>> values, slices = np.random.default_rng(0).normal(size=(200, 5)), np.repeat(["a", "b"], 100)
    >>> values[slices == "b"] += 1
    >>> corrected = Harmony().fit(values, slices).transform(values, slices)
    >>> before, after = (abs(x[100:].mean() - x[:100].mean()).round(1) for x in (values, corrected))
    >>> print(before, after)
    1.0 0.1
    """

    name = "harmony"

    def fit(self, values: Values, slices: Names, *, seed: int = 0) -> Self:
        """Run Harmony on at most 20,000 of the spots; see :meth:`Correction.fit`.

        Raises
        ------
        ValueError
            If there is only one slice.
        """
        if len(np.unique(slices)) < 2:
            raise ValueError("Harmony has one slice only, and nothing to correct; pass the correction 'none'.")
        some = evenly_spaced_rows(len(values), _N_SPOTS_FIT)
        values, slices = values[some].astype(np.float64), slices[some]
        names, codes = np.unique(slices, return_inverse=True)
        n_clusters = default_n_clusters(len(values))
        _, memberships = run_harmony(values, slices, theta=_THETA, n_clusters=n_clusters, max_iter=_MAX_ITER, seed=seed)
        shifts = _shifts(values, memberships, codes, len(names))
        corrected = np.empty_like(values)
        for code in range(len(names)):
            corrected[codes == code] = values[codes == code] - memberships[codes == code] @ shifts[code]
        sums = memberships.T @ corrected
        self._fitted = {
            "slices": names.tolist(),
            "shifts": shifts,
            "directions": _unit(sums),
            "weights": memberships.sum(axis=0),
            "sums": sums,
            "mean": corrected.mean(axis=0),
        }
        return self

    def transform(self, values: Values, slices: Names) -> Values:
        """Correct each spot by the shifts of its slice in its clusters; see :meth:`Correction.transform`."""
        known = dict(zip(self._fitted["slices"], self._fitted["shifts"], strict=True))
        corrected = np.empty_like(values)
        for name in np.unique(slices):
            rows = np.flatnonzero(slices == name)
            shifts = known.get(str(name))
            if shifts is None:
                shifts = self._shifts_of_new_slice(
                    values[rows[evenly_spaced_rows(len(rows), _N_SPOTS_FIT)]].astype(np.float64)
                )
            # In blocks, since there are many clusters for every spot; in the precision of the values.
            shifts = shifts.astype(values.dtype)
            for block in np.array_split(rows, -(-len(rows) // _BLOCK)):
                corrected[block] = self._corrected(values[block], shifts)
        return corrected

    def _corrected(self, values: Values, shifts: Values) -> Values:
        shares = (self._fitted["weights"] / self._fitted["weights"].sum()).astype(values.dtype)
        corrected = values - shares @ shifts
        for _ in range(_ROUNDS):
            corrected = values - self._clusters_of(corrected) @ shifts
        return corrected

    def _shifts_of_new_slice(self, values: Values) -> Values:
        """Shift of a new slice in each cluster. ``(n_clusters, n_features)``."""
        fitted = self._fitted
        corrected = values - values.mean(axis=0) + fitted["mean"]
        for _ in range(_ROUNDS):
            memberships = self._clusters_of(corrected)
            own, own_sums = memberships.sum(axis=0), memberships.T @ values
            # Least squares of the cluster's centre and of the slice's shift from it, with the ridge on the shift.
            total, total_sums = (fitted["weights"] + own)[:, None], fitted["sums"] + own_sums
            ridged = (own + _RIDGE)[:, None]
            centre = (total_sums - own[:, None] * own_sums / ridged) / (total - own[:, None] ** 2 / ridged)
            shifts = (own_sums - own[:, None] * centre) / ridged
            corrected = values - memberships @ shifts
        return shifts

    def _clusters_of(self, corrected: Values) -> Values:
        """Memberships of spots in the clusters. ``(n_spots, n_clusters)``."""
        logits = (2 / _SIGMA) * (_unit(corrected) @ self._fitted["directions"].T.astype(corrected.dtype))
        logits -= logits.max(axis=1, keepdims=True)
        memberships = np.exp(logits)
        return memberships / memberships.sum(axis=1, keepdims=True)


def run_harmony(
    values: Values, slices: Names, *, theta: float, n_clusters: int, max_iter: int, seed: int
) -> tuple[Values, Values]:
    """Run Harmony with explicit settings, because the defaults differ between versions.

    Parameters
    ----------
    values
        Features. ``(n_spots, n_features)``.
    slices
        Name of the slice of each spot. ``(n_spots,)``.
    theta, n_clusters, max_iter, seed
        As in :func:`spotscape.tl.harmony`.

    Returns
    -------
    Corrected features ``(n_spots, n_features)`` and memberships ``(n_spots, n_clusters)``. They do not depend on the
    order of the spots. The state of the global random number generators is not changed.
    """
    # The starting clusters are drawn by row number: in this order they do not depend on the order of the spots.
    order = np.lexsort((slices, *values.T[::-1]))
    back = np.argsort(order)
    state = np.random.get_state()  # noqa: NPY002 (some versions seed the global generator, and that of torch)
    try:
        # One thread adds up in one order.
        with torch.random.fork_rng(), threadpool_limits(1):
            result = harmonypy.run_harmony(
                # Read right also where there are as many dimensions as spots.
                np.ascontiguousarray(values[order].T, dtype=np.float64),
                pd.DataFrame({"slice": slices[order].astype(str)}),
                "slice",
                theta=float(theta),
                lamb=_RIDGE,
                sigma=_SIGMA,
                nclust=int(n_clusters),
                max_iter_harmony=int(max_iter),
                max_iter_kmeans=20,
                epsilon_cluster=1e-5,
                epsilon_harmony=1e-4,
                random_state=int(seed),
                verbose=False,
            )
    finally:
        np.random.set_state(state)  # noqa: NPY002
    corrected, memberships = np.asarray(result.Z_corr), np.asarray(result.R, dtype=np.float64)
    return corrected[back], memberships[back]


def default_n_clusters(n_spots: int) -> int:
    """Number of clusters of Harmony: one per 30 spots, at least 2 and at most 100."""
    return int(np.clip(round(n_spots / _N_SPOTS_PER_CLUSTER), 2, _MAX_CLUSTERS))


def _shifts(values: Values, memberships: Values, codes: np.ndarray, n_slices: int) -> Values:
    """Shift of each slice in each cluster, by ridge regression with a free centre. ``(n_slices, n_clusters, d)``."""
    indicators = np.eye(n_slices)[codes]
    weights = indicators.T @ memberships
    shifts = np.empty((n_slices, memberships.shape[1], values.shape[1]))
    for k, own in enumerate(weights.T):
        sums = indicators.T @ (memberships[:, [k]] * values)
        # The centre is free and the shifts are ridged, so that they are the ridged deviations from the centre.
        share = own / (own + _RIDGE)
        centre = (sums.sum(axis=0) - share @ sums) / max(own.sum() - share @ own, 1e-12)
        shifts[:, k] = (sums - own[:, None] * centre) / (own + _RIDGE)[:, None]
    return shifts


def _unit(values: Values) -> Values:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
