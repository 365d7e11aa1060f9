"""The number of domains whose partition is found again in other parts of the tissue."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from spotscape._slices import find_slice_key, read_slices
from spotscape._validate import check_integer
from spotscape.cluster._mixture import N_COMPONENTS_MIXTURE
from spotscape.cluster._partitions import N_SPOTS_STARTS
from spotscape.tl._domains import _order_by_values
from spotscape.tl._representation import read_representation
from spotscape.tl._reproducibility import BLOCKS_PER_SIDE, agreement_of_halves, spatial_halves


def choose_n_domains(
    adata: AnnData,
    use_rep: str = "X_spotscape",
    n_domains: Iterable[int] = range(2, 16),
    *,
    slice_key: str | None = None,
    spatial_key: str | None = "spatial",
    n_splits: int = 12,
    n_init: int = 5,
    key_added: str = "n_domains",
    seed: int = 0,
) -> int:
    r"""Choose the number of domains by how well they are found again in other parts of the tissue.

    Each slice is cut into blocks, of which half are drawn. Both halves are clustered alone, by the mixture of
    :func:`domains`; the domains of each are carried to the other by that mixture, and compared with those found there
    :cite:p:`Lange2004,Tibshirani2005`. The reproducibility of :math:`k` domains is the mean over the splits,

    .. math::

        s_k = \frac{1}{S} \sum_{i=1}^{S} s_{ki}, \qquad
        s_{ki} = \frac{1}{2} \left[ \mathrm{ARI}(B, A \to B) + \mathrm{ARI}(A, B \to A) \right],

    with the adjusted Rand index, which is 0 for domains found again by chance only :cite:p:`Hubert1985`. A coarse
    partition is often as reproducible as the finer one that refines it, so the answer is not the largest :math:`s_k`
    but the *finest peak* that stands out: candidates are read in rising order, and :math:`k` replaces the choice
    :math:`c` so far if

    .. math::

        s_k > s_c \quad \text{or} \quad s_k - s_t > \mathrm{SE}(s_k - s_t), \quad
        t = \arg\min_{c < j < k} s_j .

    The error is that of the paired differences, :math:`\mathrm{SD} \sqrt{1/S + 1}`: halves drawn again and again
    overlap, so more splits do not make it vanish :cite:p:`Nadeau2003`.

    The answer is one number for all slices, because :func:`domains` clusters them together. Annotations play no part.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots. Of more than 10,000, as many are drawn at random.
    use_rep
        Key of the representation in ``adata.obsm``, which may come from any package, or ``"X"``.
    n_domains
        Candidates, each at least 2.
    slice_key
        Column of ``adata.obs`` that names the slice of each spot. If ``None``, the one with which the spatial graph
        was built, otherwise ``"slice"`` if there is such a column, otherwise all spots are one slice.
    spatial_key
        Key of the coordinates in ``adata.obsm``; the first two columns are used. ``None`` draws halves of single spots:
        only for representations that know no space, because neighbours are alike in the others.
    n_splits
        Number of times that halves are drawn, at least 2: every other one from 4 x 4 and from 8 x 8 blocks a slice.
    n_init
        Number of restarts of k-means before each mixture. Fewer than in :func:`domains`, since means over many
        partitions are taken.
    key_added
        Key of the result in ``adata.uns``.
    seed
        Seed of the halves and of the restarts.

    Returns
    -------
    The chosen number. Sets ``adata.uns[key_added]`` with

    ``"chosen"``
        The same number.
    ``"table"``
        Data frame of one row a candidate: ``n_domains``, ``reproducibility`` and ``sd`` over the splits.
    ``"splits"``
        Reproducibility in each split. ``(n_candidates, n_splits)``.
    ``"params"``
        The parameters.

    Raises
    ------
    KeyError
        If ``use_rep``, ``slice_key`` or ``spatial_key`` is missing.
    TypeError
        If a number is not whole.
    ValueError
        If values are missing or infinite, a number is out of range, or a half has too few distinct spots.
    """
    candidates = _check_candidates(n_domains)
    check_integer(n_splits, "n_splits", minimum=2)
    check_integer(n_init, "n_init", minimum=1)
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    if not isinstance(key_added, str) or not key_added:
        raise TypeError(f"`key_added` is {key_added!r}; pass the name of an entry of `adata.uns`.")
    slice_key = find_slice_key(adata, slice_key)
    slices = np.zeros(adata.n_obs) if slice_key is None else read_slices(adata, slice_key).to_numpy(str)
    coordinates = None if spatial_key is None else _read_coordinates(adata, spatial_key)
    representation = read_representation(adata, use_rep, seed=seed)

    # Draws are by row number. In this order they no longer depend on the order of the spots.
    drawn = _order_by_values(representation)
    rng = np.random.default_rng(seed)
    if len(drawn) > N_SPOTS_STARTS:
        drawn = drawn[np.sort(rng.choice(len(drawn), N_SPOTS_STARTS, replace=False))]
    slices = slices[drawn]
    coordinates = None if coordinates is None else coordinates[drawn]
    values = representation[drawn].astype(np.float64)
    splits = [
        spatial_halves(coordinates, slices, BLOCKS_PER_SIDE[number % len(BLOCKS_PER_SIDE)], rng)
        for number in range(n_splits)
    ]
    n_distinct = min(len(np.unique(values[half], axis=0)) for first in splits for half in (first, ~first))
    if candidates[-1] >= n_distinct:
        raise ValueError(
            f"`n_domains` goes up to {candidates[-1]}, but a half of the tissue has only {n_distinct} distinct spots; "
            f"pass candidates below {n_distinct}, or more spots."
        )
    with threadpool_limits(1, user_api="openmp"):
        scores = PCA(min(N_COMPONENTS_MIXTURE, *values.shape), random_state=seed).fit_transform(values)
        shown = tqdm(candidates, desc="Numbers of domains", leave=False, delay=2, disable=None)
        agreements = np.array(
            [[agreement_of_halves(scores, first, number, n_init, seed) for first in splits] for number in shown]
        )
    chosen = candidates[finest_peak(agreements)]
    adata.uns[key_added] = {
        "chosen": chosen,
        "table": pd.DataFrame(
            {
                "n_domains": candidates,
                "reproducibility": agreements.mean(axis=1),
                "sd": agreements.std(axis=1, ddof=1),
            },
            index=[str(number) for number in candidates],
        ),
        "splits": agreements,
        "params": {
            "use_rep": use_rep,
            "slice_key": "none" if slice_key is None else slice_key,
            "spatial_key": "none" if spatial_key is None else spatial_key,
            "n_splits": int(n_splits),
            "n_init": int(n_init),
            "n_spots": len(drawn),
            "seed": int(seed),
        },
    }
    return chosen


def finest_peak(agreements: np.ndarray, n_errors: float = 1.0) -> int:
    """Row of the last peak that rises from the trough before it by more than ``n_errors`` standard errors.

    Parameters
    ----------
    agreements
        Reproducibility of each candidate in each split. ``(n_candidates, n_splits)``.
    n_errors
        Number of standard errors.

    Returns
    -------
    Number of the row.
    """
    means = agreements.mean(axis=1)
    factor = np.sqrt(1 / agreements.shape[1] + 1)
    choice = 0
    for row in range(1, len(means)):
        if means[row] > means[choice]:
            choice = row
            continue
        if row == choice + 1:
            continue
        trough = choice + 1 + int(means[choice + 1 : row].argmin())
        error = factor * (agreements[row] - agreements[trough]).std(ddof=1)
        if means[row] - means[trough] > n_errors * error:
            choice = row
    return choice


def _check_candidates(n_domains: Iterable[int]) -> list[int]:
    if isinstance(n_domains, str) or not isinstance(n_domains, Iterable):
        raise TypeError(f"`n_domains` is {n_domains!r}; pass several candidates, such as range(2, 16).")
    candidates = list(n_domains)
    for number in candidates:
        check_integer(number, "n_domains", minimum=2)
    if len(set(candidates)) < 2:
        raise ValueError(f"`n_domains` has {len(set(candidates))} candidate(s); pass at least two to choose from.")
    return sorted({int(number) for number in candidates})


def _read_coordinates(adata: AnnData, spatial_key: str) -> np.ndarray:
    if spatial_key not in adata.obsm:
        raise KeyError(
            f"`spatial_key` is {spatial_key!r}, which is not in `adata.obsm`; store the coordinates there, "
            "or pass None for a representation that knows no space."
        )
    coordinates = np.asarray(adata.obsm[spatial_key], dtype=np.float64)
    if coordinates.ndim != 2 or coordinates.shape[1] < 2:
        raise ValueError(f"`{spatial_key}` has shape {coordinates.shape}; pass two coordinates a spot.")
    if not np.isfinite(coordinates).all():
        raise ValueError(f"`{spatial_key}` has missing or infinite values; leave out the spots that have them.")
    return coordinates[:, :2]
