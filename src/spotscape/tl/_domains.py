"""Spatial domains: clusters of a representation of the spots."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from spotscape._arguments import check_call
from spotscape._validate import check_choice, check_integer, check_number, check_replaceable
from spotscape.cluster._classifier import Classifier, get_state
from spotscape.cluster._hierarchy import merge_domains
from spotscape.cluster._partitions import Alternatives, Partition, kmeans_partition, mixture_partition
from spotscape.tl._domain_columns import as_categorical, merged_domains, store_domains
from spotscape.tl._label_propagation import propagate_labels, read_spatial_graph
from spotscape.tl._leiden import leiden_codes
from spotscape.tl._representation import read_representation

METHODS = ("mixture", "eee", "kmeans", "leiden")
# Just enough for a covariance that has an inverse, in units of its mean variance.
_NO_RIDGE = 1e-6
_N_INIT = 100
_PARTITIONS: dict[str, Callable[[np.ndarray, int, int, int], Partition]] = {
    "mixture": mixture_partition,
    "eee": partial(mixture_partition, n_components=None, ridge=_NO_RIDGE),
    "kmeans": kmeans_partition,
}
# Partitions whose sums of squares differ by less than this share fit equally well.
_TIE = 0.003
# Below this adjusted Rand index, partitions that fit equally well are different answers.
_DIFFERENT = 0.7


def domains(
    adata: AnnData,
    use_rep: str = "X_spotscape",
    n_domains: int | Sequence[int] | None = None,
    *,
    method: str = "mixture",
    smoothing: float = 0.0,
    n_init: int | None = None,
    resolution: float | None = None,
    n_neighbors: int | None = None,
    key_added: str = "spatial_domain",
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Find spatial domains by clustering a representation of the spots.

    All slices are clustered together in the representation, so a domain has the same meaning in every slice. The result
    does not depend on the order of the spots. There are four methods:

    ``"mixture"``
        Gaussian mixture with one full covariance shared by all domains,
        :math:`p(z) = \sum_k \pi_k \, \mathcal{N}(z; \mu_k, \Sigma)`, which is model EEE of mclust
        :cite:p:`Scrucca2016`. Two measures make it reproducible. It starts from the best of many k-means runs; if
        several are within 1 % of the best, from the one whose mixture has the highest likelihood. A ridge of 0.3 times
        the mean variance keeps :math:`\Sigma` from fitting noise. At most 12 principal components are used. The
        partitions that were not chosen are kept as alternatives; :func:`spotscape.pl.alternatives` draws them.
    ``"eee"``
        The same mixture over all dimensions and without a ridge, as the papers of SEDR and GraphST read out domains
        with mclust. Over more than a few dimensions it follows noise, so its domains are less reproducible.
    ``"kmeans"``
        k-means with restarts :cite:p:`Lloyd1982,Arthur2007`.
    ``"leiden"``
        Communities of the neighbour graph of the representation :cite:p:`Traag2019`. Requires the extra
        ``spotscape[leiden]``.

    With more than 10,000 spots, the restarts use a random subset of 10,000 spots, and the best one is then fitted to
    all spots.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots.
    use_rep
        Key of the representation in ``adata.obsm``, from any package, or ``"X"``. ``"X"`` and sparse matrices of more
        than 50 columns are first reduced to 50 principal components.
    n_domains
        Number of domains, at least 2 and less than the number of distinct spots. Required by the mixture and k-means.
        For Leiden, the resolution that gives this number is searched. With several numbers, such as ``[4, 7, 12]``,
        the mixture is fitted with the largest, and its domains are merged step by step by Ward's method
        :cite:p:`Ward1963`, so that each domain lies within one domain of every coarser level.
    method
        ``"mixture"``, ``"eee"``, ``"kmeans"`` or ``"leiden"``. The mixture is the default because it agreed best with
        the annotations of the sections in the user guide, and is as reproducible as k-means.
    smoothing
        Weight of the spatial neighbours of a spot relative to the spot itself, from 0 to below 1. The default is 0,
        because the representation already includes the neighbourhood. Affinities to the domains are propagated over
        ``adata.obsp["spatial_connectivities"]`` to convergence :cite:p:`Zhou2003`. A graph built by this package has no
        edges between slices.
    n_init
        Number of k-means restarts, also for the mixture. If ``None``, 100, with which the seed has almost no effect.
    resolution
        Leiden resolution, instead of ``n_domains``; larger values give more domains.
    n_neighbors
        Number of neighbours in the representation, for Leiden. If ``None``, 15, or all other spots if there are fewer.
    key_added
        Key of the result in ``adata.obs`` and of the parameters in ``adata.uns``.
    seed
        Seed of the restarts and of Leiden.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obs[key_added]``
        Categorical of ``"1"`` to ``"K"``. Domains are numbered along the first principal component of their centroids,
        so that consecutive domains are similar.
    ``.obs[f"{key_added}_confidence"]``
        Confidence in the domain of the spot, from 0 to 1, smoothed as the domains are. For the mixtures, posterior
        probabilities that are tempered, because neighbouring spots share most of their evidence, and averaged over the
        alternatives (see :func:`spotscape.cluster.mixture_partition`): about as many spots of a confidence agree with
        annotations as it says. For k-means, the simplified silhouette :math:`(b - a) / \max(a, b)` with the distances
        :math:`a` to the centroid of its own domain and :math:`b` to the nearest other centroid
        :cite:p:`Hruschka2006`.
    ``.obs[f"{key_added}_{n}"]`` and ``.obs[f"{key_added}_{n}_confidence"]``
        If several numbers of domains are given: the domains of each level ``n``, and the confidence in them.
    ``.uns[key_added]``
        The parameters, the number of domains found, and the number of spots in each. For the mixture also
        ``"alternatives"``: the partitions that fit nearly equally well, the chosen one first, as ``"domains"``
        (``(n_spots, n_partitions)``, before smoothing, numbered like the domains that they overlap with most), the
        ``"excess"`` of the sum of squares of their k-means starts over the best, their ``"log_likelihood"`` per spot,
        and their ``"agreement"``, the adjusted Rand index of each pair. For the mixture and k-means also
        ``"classifier"``, the fitted clustering as small arrays, with which :func:`predict_domains` assigns the spots of
        a new section to the same domains.

    Raises
    ------
    KeyError
        If the representation is missing, or the spatial graph that ``smoothing`` needs.
    ValueError
        If the representation has missing or infinite values, ``n_domains`` is out of range, an argument does not apply
        to ``method``, or no resolution gives ``n_domains``.
    ImportError
        If ``method="leiden"`` and igraph is not installed.

    Warns
    -----
    UserWarning
        If two partitions with an adjusted Rand index below 0.7 fit equally well, so that the representation does not
        decide between them; or if fewer domains than asked for have spots.

    Examples
    --------
    >>> import scanpy as sc
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, seed=0)
    >>> sc.pp.log1p(adata)
    >>> sc.pp.pca(adata, n_comps=10)
    >>> sps.tl.domains(adata, use_rep="X_pca", n_domains=4, n_init=10)
    >>> adata.obs["spatial_domain"].cat.categories.tolist()
    ['1', '2', '3', '4']
    """
    check_call(domains, locals())
    check_choice(method, METHODS, "method")
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    check_replaceable(adata, key_added, "key_added", own="spatial_domain")
    levels, n_domains = _check_levels(n_domains, method)
    params = _check_method_arguments(method, n_domains, n_init, resolution, n_neighbors, adata.n_obs)
    check_number(smoothing, "smoothing", minimum=0, maximum=0.999)
    graph = read_spatial_graph(adata) if smoothing > 0 else None
    representation = read_representation(adata, use_rep, seed=seed)
    # Random starts are drawn by row number. Sorting the rows makes them independent of the order of the spots.
    order = _lexicographic_order(representation)
    rows = representation[order]
    n_distinct = 1 + int((rows[1:] != rows[:-1]).any(axis=1).sum())
    if n_domains is not None and n_domains >= n_distinct:
        raise ValueError(
            f"`n_domains` is {n_domains}, but `{use_rep}` has only {n_distinct} distinct rows; "
            f"pass less than {n_distinct}."
        )

    confidences: np.ndarray | None = None
    alternatives: Alternatives | None = None
    classifier: Classifier | None = None
    if method == "leiden":
        codes, params["resolution"] = leiden_codes(rows, n_domains, resolution, params["n_neighbors"], seed)
        affinities = np.eye(codes.max() + 1)[codes]
    else:
        assert n_domains is not None
        partition = _PARTITIONS[method]
        # With one thread, sums are always in the same order, so labels do not depend on the number of threads. One
        # thread is also much faster on a busy machine, where each short iteration would wait for the slowest thread.
        with threadpool_limits(1, user_api="openmp"):
            affinities, confidences, alternatives, classifier = partition(rows, n_domains, params["n_init"], seed)
    if graph is not None:
        ordered_graph = graph[order][:, order]
        affinities = propagate_labels(affinities, ordered_graph, smoothing)
        confidences = None if confidences is None else propagate_labels(confidences, ordered_graph, smoothing)
    codes = affinities.argmax(axis=1)
    confidence = None if confidences is None else confidences[np.arange(len(codes)), codes]
    number = _numbers_along_first_component(rows, codes, affinities.shape[1])
    codes = number[codes]
    n_found = int(codes.max()) + 1
    if n_domains is not None and n_found < n_domains:
        warnings.warn(
            f"Only {n_found} of {n_domains} domains have spots; pass a smaller `n_domains` or another `seed`.",
            UserWarning,
            stacklevel=2,
        )

    inverse = np.argsort(order)
    result: dict[str, Any] = {
        "method": method,
        "use_rep": use_rep,
        "seed": int(seed),
        "smoothing": float(smoothing),
        **params,
        "n_domains": n_found,
        "sizes": np.bincount(codes, minlength=n_found),
    }
    columns: dict[str, Any] = {key_added: as_categorical(codes[inverse])}
    if classifier is not None:
        result["classifier"] = get_state(classifier.renumbered(np.argsort(number)))
    if confidence is not None:
        columns[f"{key_added}_confidence"] = confidence[inverse]
    if alternatives is not None:
        result["alternatives"] = _describe(alternatives, number, inverse)
        _warn_of_ties(alternatives.excess, result["alternatives"]["agreement"])
    if levels is not None and confidences is not None:
        # A level with more domains than were found does not exist; that there are fewer has been said above.
        levels = [level for level in levels if level <= n_found]
        result["levels"] = np.array(levels, dtype=int)
        merged = merge_domains(rows, codes, levels)
        result["merged"] = np.array([merged[level] for level in levels], dtype=int).reshape(len(levels), n_found)
        # Columns in the order of the numbers of the domains.
        ordered = confidences[:, np.argsort(number)][:, :n_found]
        for level in levels:
            coarse, confidence = merged_domains(codes, ordered, merged[level])
            columns[f"{key_added}_{level}"] = as_categorical(coarse[inverse])
            columns[f"{key_added}_{level}_confidence"] = confidence[inverse]
    target = adata.copy() if copy else adata
    store_domains(target, key_added, columns, result)
    return target if copy else None


def _check_levels(n_domains: int | Sequence[int] | None, method: str) -> tuple[list[int] | None, int | None]:
    """Numbers of domains of all levels, if there are several, and the number that is fitted."""
    if not isinstance(n_domains, Iterable):
        return None, n_domains
    levels = list(n_domains)
    if method not in ("mixture", "eee"):
        raise ValueError(f"`n_domains` is {n_domains!r}, but method {method!r} takes one number; use the mixture.")
    if not levels:
        raise ValueError("`n_domains` is empty; pass a number, or several such as [4, 7, 12].")
    for level in levels:
        check_integer(level, "n_domains", minimum=2)
    levels = sorted({int(level) for level in levels})
    return levels, levels[-1]


def _describe(alternatives: Alternatives, number: np.ndarray, inverse: np.ndarray) -> dict[str, np.ndarray]:
    """Alternatives as they are stored: spots in their own order, domains with their final numbers from 1."""
    codes = number[alternatives.codes]
    return {
        "domains": (codes.T[inverse] + 1).astype(np.int32),
        "excess": alternatives.excess,
        "log_likelihood": alternatives.log_likelihood,
        "agreement": np.array([[adjusted_rand_score(one, other) for other in codes] for one in codes]),
    }


def _warn_of_ties(excess: np.ndarray, agreement: np.ndarray) -> None:
    tied = np.flatnonzero((np.abs(excess - excess[0]) < _TIE) & (agreement[0] < _DIFFERENT))
    if len(tied):
        warnings.warn(
            f"{len(tied)} other partition(s) fit as well as the chosen one and differ from it, with an adjusted Rand "
            f"index down to {agreement[0, tied].min():.2f}: the representation does not decide between them. Draw "
            "them with `spotscape.pl.alternatives`, or try another number of domains.",
            UserWarning,
            stacklevel=3,
        )


def _check_method_arguments(
    method: str,
    n_domains: int | None,
    n_init: int | None,
    resolution: float | None,
    n_neighbors: int | None,
    n_spots: int,
) -> dict[str, Any]:
    """Check that the arguments apply to the method, and return its parameters with defaults filled in."""
    if n_domains is not None:
        check_integer(n_domains, "n_domains", minimum=2)
        if n_domains > n_spots:
            raise ValueError(f"`n_domains` is {n_domains}, but there are only {n_spots} spots; pass a smaller number.")
    if method == "leiden":
        if n_init is not None:
            raise ValueError(f"`n_init` is {n_init}, but method 'leiden' has no restarts; omit it.")
        if (n_domains is None) == (resolution is None):
            given = "neither was" if n_domains is None else "both were"
            raise ValueError(f"Method 'leiden' takes `n_domains` or `resolution`, but {given} given; pass one of them.")
        if resolution is not None:
            check_number(resolution, "resolution")
            if resolution <= 0:
                raise ValueError(f"`resolution` is {resolution}; it must be positive.")
        if n_spots < 3:
            raise ValueError(f"There are only {n_spots} spots; method 'leiden' needs at least 3.")
        n_neighbors = min(15, n_spots - 1) if n_neighbors is None else n_neighbors
        check_integer(n_neighbors, "n_neighbors", minimum=2, maximum=n_spots - 1)
        return {"n_neighbors": int(n_neighbors)}
    if n_domains is None:
        raise ValueError(f"`n_domains` is None; method {method!r} needs a number of domains.")
    for name, value in (("resolution", resolution), ("n_neighbors", n_neighbors)):
        if value is not None:
            raise ValueError(f"`{name}` is {value}, which only applies to method 'leiden'; omit it.")
    n_init = _N_INIT if n_init is None else n_init
    check_integer(n_init, "n_init", minimum=1)
    return {"n_init": int(n_init)}


def _lexicographic_order(representation: np.ndarray) -> np.ndarray:
    """Order of the rows by their first value, then by their second, and so on."""
    order = np.argsort(representation[:, 0], kind="stable")
    first = representation[order, 0]
    # Only the few rows that share their first value are sorted by all columns.
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] = first[1:] == first[:-1]
    tied[:-1] |= tied[1:]
    rows = order[tied]
    order[tied] = rows[np.lexsort(representation[rows].T[::-1])]
    return order


def _numbers_along_first_component(representation: np.ndarray, codes: np.ndarray, n_codes: int) -> np.ndarray:
    """Number of each code, from 0 along the first principal component of their centroids, empty ones last."""
    present, codes = np.unique(codes, return_inverse=True)
    sizes = np.bincount(codes)
    members = sparse.csr_matrix((np.ones(len(codes)), (codes, np.arange(len(codes)))))
    centroids = (members @ representation.astype(np.float64)) / sizes[:, None]
    centred = centroids - centroids.mean(axis=0)
    direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    # The sign of a singular vector is arbitrary, so its largest entry is made positive.
    direction = direction * np.sign(direction[np.abs(direction).argmax()])
    order = np.lexsort((sizes, centred @ direction))
    number = np.empty(n_codes, dtype=np.int64)
    number[present[order]] = np.arange(len(present))
    number[np.setdiff1d(np.arange(n_codes), present)] = np.arange(len(present), n_codes)
    return number
