"""Choice of the number of domains by reproducibility between parts of the tissue."""

import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from spotscape._arguments import check_call
from spotscape._bars import progress_bar
from spotscape._slices import find_slice_key, read_slices
from spotscape._validate import check_integer, check_name, is_key, numeric_array
from spotscape.cluster._mixture import N_COMPONENTS_MIXTURE
from spotscape.cluster._partitions import N_SPOTS_STARTS
from spotscape.tl._domains import _lexicographic_order
from spotscape.tl._representation import read_representation
from spotscape.tl._reproducibility import BLOCKS_PER_SIDE, draw_spatial_halves, split_half_agreement


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
    r"""Choose the number of domains by their reproducibility between parts of the tissue.

    Each slice is divided into blocks, and a random half of the blocks is drawn. Both halves are clustered separately by
    the mixture of :func:`domains`. Each mixture also predicts the domains of the other half, and the prediction is
    compared with the domains found there :cite:p:`Lange2004,Tibshirani2005`. The reproducibility of :math:`k` domains
    is the mean over the splits,

    .. math::

        s_k = \frac{1}{S} \sum_{i=1}^{S} s_{ki}, \qquad
        s_{ki} = \frac{1}{2} \left[ \mathrm{ARI}(B, A \to B) + \mathrm{ARI}(A, B \to A) \right],

    with the adjusted Rand index, which is 0 for agreement by chance :cite:p:`Hubert1985`. A coarse partition is often
    as reproducible as a finer one nested in it, so the choice is not the largest :math:`s_k` but the *finest
    significant peak*: candidates are visited in increasing order, and :math:`k` replaces the current choice :math:`c`
    if

    .. math::

        s_k > s_c \quad \text{or} \quad s_k - s_t > \mathrm{SE}(s_k - s_t), \quad
        t = \arg\min_{c < j < k} s_j .

    The standard error is that of the paired differences, :math:`\mathrm{SD} \sqrt{1/S + 1}`. It does not vanish with
    more splits, because the halves of different splits overlap :cite:p:`Nadeau2003`.

    One number is chosen for all slices, because :func:`domains` clusters them together. Annotations are not used.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots. With more than 10,000, a random subset of 10,000 is used.
    use_rep
        Key of the representation in ``adata.obsm``, from any package, or ``"X"``.
    n_domains
        Candidates, each at least 2.
    slice_key
        Column of ``adata.obs`` with the slice of each spot. If ``None``, the one with which the spatial graph was
        built, otherwise ``"slice"`` if there is such a column, otherwise all spots are one slice.
    spatial_key
        Key of the coordinates in ``adata.obsm``; the first two columns are used. With ``None``, halves consist of
        single spots. This is only valid for representations that do not use positions; in others, neighbouring spots
        are similar, and any partition would be reproducible.
    n_splits
        Number of splits into halves, at least 2, alternately of 4 x 4 and of 8 x 8 blocks per slice.
    n_init
        Number of k-means restarts for each mixture. Fewer than in :func:`domains` suffice, because results are averaged
        over many partitions.
    key_added
        Key of the result in ``adata.uns``.
    seed
        Seed of the halves and of the restarts.

    Returns
    -------
    The chosen number. Sets ``adata.uns[key_added]`` with

    ``"chosen"``
        The chosen number.
    ``"table"``
        Data frame with one row per candidate: ``n_domains``, ``reproducibility`` and its ``sd`` over the splits.
    ``"splits"``
        Reproducibility in each split. ``(n_candidates, n_splits)``.
    ``"params"``
        The parameters.

    Raises
    ------
    KeyError
        If ``use_rep``, ``slice_key`` or ``spatial_key`` does not exist.
    TypeError
        If a number is not whole.
    ValueError
        If values are missing or infinite, a number is out of range, or a half has too few distinct spots.

    Warns
    -----
    UserWarning
        If the largest candidate is chosen.

    Examples
    --------
    >>> import scanpy as sc
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, seed=0)
    >>> sc.pp.log1p(adata)
    >>> sc.pp.pca(adata, n_comps=5)
    >>> chosen = sps.tl.choose_n_domains(adata, use_rep="X_pca", n_domains=range(2, 6), n_splits=2, n_init=1)
    >>> adata.uns["n_domains"]["chosen"] == chosen
    True
    >>> adata.uns["n_domains"]["table"]["n_domains"].tolist()
    [2, 3, 4, 5]
    """
    check_call(choose_n_domains, locals())
    candidates = _check_candidates(n_domains)
    check_integer(n_splits, "n_splits", minimum=2)
    check_integer(n_init, "n_init", minimum=1)
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    check_name(key_added, "key_added", "an entry of `adata.uns`")
    slice_key = find_slice_key(adata, slice_key)
    slices = np.zeros(adata.n_obs) if slice_key is None else read_slices(adata, slice_key).to_numpy(str)
    coordinates = None if spatial_key is None else _read_coordinates(adata, spatial_key)
    representation = read_representation(adata, use_rep, seed=seed)

    # Random draws are by row number. Sorting the rows makes them independent of the order of the spots.
    drawn = _lexicographic_order(representation)
    rng = np.random.default_rng(seed)
    if len(drawn) > N_SPOTS_STARTS:
        drawn = drawn[np.sort(rng.choice(len(drawn), N_SPOTS_STARTS, replace=False))]
    slices = slices[drawn]
    coordinates = None if coordinates is None else coordinates[drawn]
    values = representation[drawn].astype(np.float64)
    splits = [
        draw_spatial_halves(coordinates, slices, BLOCKS_PER_SIDE[number % len(BLOCKS_PER_SIDE)], rng)
        for number in range(n_splits)
    ]
    n_distinct = min(len(np.unique(values[half], axis=0)) for first in splits for half in (first, ~first))
    if candidates[-1] >= n_distinct:
        raise ValueError(
            f"`n_domains` includes {candidates[-1]}, but one half of the tissue has only {n_distinct} distinct spots; "
            f"pass candidates below {n_distinct}, or more spots."
        )
    with threadpool_limits(1, user_api="openmp"):
        scores = PCA(min(N_COMPONENTS_MIXTURE, *values.shape), random_state=seed).fit_transform(values)
        progress = progress_bar(candidates, desc="Numbers of domains", leave=False, delay=2)
        agreements = np.array(
            [[split_half_agreement(scores, first, number, n_init, seed) for first in splits] for number in progress]
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
    if chosen == max(candidates):
        warnings.warn(
            f"The chosen number, {chosen}, is the largest candidate; a larger one may be more reproducible. Pass more "
            "candidates as `n_domains`, and look at the curve with `spotscape.pl.n_domains`.",
            UserWarning,
            stacklevel=2,
        )
    return chosen


def finest_peak(agreements: np.ndarray, n_errors: float = 1.0) -> int:
    """Return the row of the last peak that exceeds the preceding minimum by more than ``n_errors`` standard errors.

    Parameters
    ----------
    agreements
        Reproducibility of each candidate in each split. ``(n_candidates, n_splits)``.
    n_errors
        Number of standard errors.

    Returns
    -------
    Index of the row.
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
        minimum = choice + 1 + int(means[choice + 1 : row].argmin())
        error = factor * (agreements[row] - agreements[minimum]).std(ddof=1)
        if means[row] - means[minimum] > n_errors * error:
            choice = row
    return choice


def _check_candidates(n_domains: Iterable[int]) -> list[int]:
    if isinstance(n_domains, str) or not isinstance(n_domains, Iterable):
        raise TypeError(f"`n_domains` is {n_domains!r}; pass at least two candidates, such as range(2, 16).")
    candidates = list(n_domains)
    for number in candidates:
        check_integer(number, "n_domains", minimum=2)
    if len(set(candidates)) < 2:
        raise ValueError(f"`n_domains` is {n_domains!r}, {len(set(candidates))} candidate(s); pass at least two.")
    return sorted({int(number) for number in candidates})


def _read_coordinates(adata: AnnData, spatial_key: str) -> np.ndarray:
    if not is_key(spatial_key, adata.obsm):
        raise KeyError(
            f"`spatial_key` is {spatial_key!r}, which is not in `adata.obsm`; store the coordinates there, "
            "or pass None if the representation does not use positions."
        )
    coordinates = numeric_array(adata.obsm[spatial_key], f"adata.obsm[{spatial_key!r}]").astype(np.float64)
    if coordinates.ndim != 2 or coordinates.shape[1] < 2:
        raise ValueError(f"`{spatial_key}` has shape {coordinates.shape}; pass two coordinates per spot.")
    if not np.isfinite(coordinates).all():
        raise ValueError(f"`{spatial_key}` has missing or infinite values; remove the spots that have them.")
    return coordinates[:, :2]
