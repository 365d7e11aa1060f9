"""Removal of differences between slices from any representation, by Harmony."""

import numpy as np
from anndata import AnnData

from spotscape._slices import need_slice_key, read_slices
from spotscape._validate import check_integer, check_number
from spotscape.preprocessing.correction._harmony import default_n_clusters, run_harmony
from spotscape.tl._representation import read_representation


def harmony(
    adata: AnnData,
    use_rep: str = "X_spotscape",
    slice_key: str = "slice",
    *,
    theta: float = 2.0,
    n_clusters: int | None = None,
    max_iter: int = 10,
    key_added: str | None = None,
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Remove differences between slices from a representation by Harmony :cite:p:`Korsunsky2019`.

    Harmony clusters the spots softly by the cosine, with a penalty on clusters in which slices have other shares than
    in the whole, and takes from each spot the shift of its slice within its clusters,

    .. math:: \hat z_i = z_i - \sum_k R_{ki} \, W_{k, s(i)}

    with the memberships :math:`R` and the ridge regression :math:`W_k` of the spots of cluster :math:`k` on their slice
    :math:`s`, and repeats both. It knows neither positions nor domains: where a slice lacks a domain that others have,
    it may be drawn to them all the same. Compare with and without it by :func:`spotscape.metrics.integration_scores`.
    The order of the spots plays no part.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots.
    use_rep
        Key of the representation in ``adata.obsm``, which may come from any package, or ``"X"``; it has fewer
        dimensions than there are spots. ``"X"`` and sparse representations of more than 50 columns are first reduced to
        their 50 principal components.
    slice_key
        Column of ``adata.obs`` with the slices, of which there are at least two.
    theta
        Weight of the penalty, 0 (none) or more. The default, 2, is that of the publication.
    n_clusters
        Number of clusters, at least 2. If ``None``, one for every 30 spots, at most 100.
    max_iter
        Largest number of rounds of clustering and correction.
    key_added
        Key of the answer in ``adata.obsm`` and of its parameters in ``adata.uns``. If ``None``,
        ``f"{use_rep}_harmony"``.
    seed
        Seed of the clustering. The global generators are left as they were.
    copy
        Return a copy of ``adata`` that has the answer instead of writing to ``adata``.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obsm[key_added]``
        Corrected representation, of the shape of the given one. ``(n_spots, n_dimensions)``.
    ``.uns[key_added]``
        The parameters.

    Raises
    ------
    KeyError
        If the representation or the column of slices is missing.
    ValueError
        If there is one slice only, a spot has no slice, the representation has missing or infinite values or rows of
        zeros, or as many dimensions as spots, or an argument is out of range.
    """
    check_number(theta, "theta", minimum=0)
    check_integer(max_iter, "max_iter", minimum=1)
    check_integer(seed, "seed", minimum=0, maximum=2**31 - 1)
    if key_added is not None and (not isinstance(key_added, str) or not key_added):
        raise TypeError(f"`key_added` is {key_added!r}; pass the name of a key of `adata.obsm`.")
    slices = _read_slices(adata, slice_key)
    values = read_representation(adata, use_rep, seed=seed)
    _check_values(values, use_rep)
    if n_clusters is None:
        n_clusters = default_n_clusters(adata.n_obs)
    check_integer(n_clusters, "n_clusters", minimum=2, maximum=adata.n_obs - 1)

    corrected, _ = run_harmony(values, slices, theta=theta, n_clusters=n_clusters, max_iter=max_iter, seed=seed)
    corrected = corrected.astype(values.dtype)
    if not np.isfinite(corrected).all():
        raise ValueError(f"Harmony found no finite correction of `{use_rep}`; pass a smaller `theta` or `n_clusters`.")

    key_added = f"{use_rep}_harmony" if key_added is None else key_added
    target = adata.copy() if copy else adata
    target.obsm[key_added] = corrected
    target.uns[key_added] = {
        "use_rep": use_rep,
        "slice_key": slice_key,
        "theta": float(theta),
        "n_clusters": int(n_clusters),
        "max_iter": int(max_iter),
        "seed": int(seed),
    }
    return target if copy else None


def _read_slices(adata: AnnData, slice_key: str) -> np.ndarray:
    """Codes of the slices. ``(n_spots,)``."""
    names, codes = np.unique(read_slices(adata, need_slice_key(adata, slice_key)).to_numpy(str), return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"`adata.obs[{slice_key!r}]` has {len(names)} slice(s); there is nothing to integrate, pass at least two."
        )
    return codes


def _check_values(values: np.ndarray, use_rep: str) -> None:
    n_spots, n_dimensions = values.shape
    if n_dimensions >= n_spots:
        raise ValueError(
            f"`{use_rep}` has {n_dimensions} dimensions for {n_spots} spots; pass one of fewer dimensions than spots."
        )
    n_zero = int((~values.any(axis=1)).sum())
    if n_zero:
        raise ValueError(
            f"`{use_rep}` is zero in all dimensions at {n_zero} spots, so they have no cosine; leave these spots out."
        )
