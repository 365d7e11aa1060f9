"""Harmony integration of any representation."""

import numpy as np
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape._slices import need_slice_key, read_slices
from spotscape._validate import check_integer, check_name, check_number
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
    r"""Remove batch effects between slices from a representation by Harmony :cite:p:`Korsunsky2019`.

    Harmony alternates two steps. It assigns spots to soft clusters by cosine similarity, with a penalty on clusters
    whose slice proportions differ from those of all spots. It then subtracts the shift of each slice within each
    cluster,

    .. math:: \hat z_i = z_i - \sum_k R_{ki} \, W_{k, s(i)},

    with cluster memberships :math:`R` and the coefficients :math:`W_k` of a ridge regression of the spots of cluster
    :math:`k` on their slice :math:`s`. Harmony uses neither positions nor domains. If a slice lacks a domain, Harmony
    may mix that domain of the other slices with another one; compare the result with the input by
    :func:`spotscape.metrics.integration_scores`. The result does not depend on the order of the spots.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots.
    use_rep
        Key of the representation in ``adata.obsm``, from any package, or ``"X"``. It must have fewer dimensions than
        there are spots. ``"X"`` and sparse matrices of more than 50 columns are first reduced to 50 principal
        components.
    slice_key
        Column of ``adata.obs`` with the slice of each spot, at least two slices.
    theta
        Weight of the diversity penalty, 0 (none) or more. The default, 2, is that of the publication.
    n_clusters
        Number of clusters, at least 2. If ``None``, one per 30 spots, at most 100.
    max_iter
        Maximum number of iterations of clustering and correction.
    key_added
        Key of the result in ``adata.obsm`` and of the parameters in ``adata.uns``. If ``None``,
        ``f"{use_rep}_harmony"``.
    seed
        Seed of the clustering. Global random generators are not changed.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obsm[key_added]``
        Corrected representation. ``(n_spots, n_dimensions)``.
    ``.uns[key_added]``
        The parameters.

    Raises
    ------
    KeyError
        If the representation or the column of slices is missing.
    ValueError
        If there is only one slice, a spot has no slice, an argument is out of range, or the representation has missing
        or infinite values, rows of zeros, or as many dimensions as spots.

    Examples
    --------
    >>> import scanpy as sc
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, batch_effect="strong", seed=0)
    >>> sc.pp.log1p(adata)
    >>> sc.pp.pca(adata, n_comps=10)
    >>> sps.tl.harmony(adata, use_rep="X_pca", slice_key="slice")
    >>> adata.obsm["X_pca_harmony"].shape
    (400, 10)
    """
    check_call(harmony, locals())
    check_number(theta, "theta", minimum=0)
    check_integer(max_iter, "max_iter", minimum=1)
    check_integer(seed, "seed", minimum=0, maximum=2**31 - 1)
    key_added = f"{use_rep}_harmony" if key_added is None else key_added
    check_name(key_added, "key_added", "an entry of `adata.obsm`")
    slices = _slice_codes(adata, slice_key)
    values = read_representation(adata, use_rep, seed=seed)
    _check_values(values, use_rep)
    if n_clusters is None:
        n_clusters = default_n_clusters(adata.n_obs)
    check_integer(n_clusters, "n_clusters", minimum=2, maximum=adata.n_obs - 1)

    corrected, _ = run_harmony(values, slices, theta=theta, n_clusters=n_clusters, max_iter=max_iter, seed=seed)
    corrected = corrected.astype(values.dtype)
    if not np.isfinite(corrected).all():
        raise ValueError(f"Harmony diverged on `{use_rep}`; pass a smaller `theta` or `n_clusters`.")

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


def _slice_codes(adata: AnnData, slice_key: str) -> np.ndarray:
    """Slice of each spot as a number. ``(n_spots,)``."""
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
            f"`{use_rep}` has {n_dimensions} dimensions for {n_spots} spots; pass one with fewer dimensions than spots."
        )
    n_zero = int((~values.any(axis=1)).sum())
    if n_zero:
        raise ValueError(
            f"`{use_rep}` is zero in all dimensions of {n_zero} spots, which have no cosine similarity; remove them."
        )
