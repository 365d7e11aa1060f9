"""Spatial domains: a partition of the spots found in a representation of them."""

import warnings
from typing import Any, cast

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from threadpoolctl import threadpool_limits

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.cluster._partitions import kmeans_partition, mixture_partition
from spotscape.tl._leiden import leiden_codes
from spotscape.tl._representation import read_representation
from spotscape.tl._spread import read_spatial_graph, spread

METHODS = ("mixture", "kmeans", "leiden")
_N_INIT = 100


def domains(
    adata: AnnData,
    use_rep: str = "X_spotscape",
    n_domains: int | None = None,
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

    All slices are clustered together, by the representation alone, so that a domain means the same in each of them. The
    order of the spots plays no part: permuted spots get the same domains. Three methods:

    ``"mixture"``
        Gaussian mixture whose domains share one full covariance,
        :math:`p(z) = \sum_k \pi_k \, \mathcal{N}(z; \mu_k, \Sigma)`, the family EEE of mclust that the field uses
        :cite:p:`Scrucca2016`, made steady in two ways: it starts from the best of many k-means, or, where several are
        within 1 % of the best, from the one whose mixture is the likeliest; and a ridge of 0.3 times the mean variance
        keeps :math:`\Sigma` from following noise. It sees at most 12 principal components.
    ``"kmeans"``
        k-means with restarts :cite:p:`Lloyd1982,Arthur2007`.
    ``"leiden"``
        Communities of the neighbour graph of the representation :cite:p:`Traag2019`. Needs the extra
        ``spotscape[leiden]``.

    Where there are more than 10,000 spots, the restarts see 10,000 of them, drawn at random, and the best one is then
    fitted to all.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots.
    use_rep
        Key of the representation in ``adata.obsm``, which may come from any package, or ``"X"``. ``"X"`` and sparse
        representations of more than 50 columns are first reduced to their 50 principal components.
    n_domains
        Number of domains, at least 2 and fewer than there are distinct spots. Needed by all methods but Leiden, for
        which the resolution that yields it is searched.
    method
        ``"mixture"``, ``"kmeans"`` or ``"leiden"``. The mixture is the default because it agreed best with annotations
        in the sections of the user guide, and as steadily as k-means.
    smoothing
        Weight of a spot's spatial neighbours against its own evidence, from 0 (none, the default, since the
        representation knows the neighbourhood already) to below 1. Affinities to the domains are spread over
        ``adata.obsp["spatial_connectivities"]`` until they settle :cite:p:`Zhou2003`; a graph made by this package
        never joins slices.
    n_init
        Number of restarts of k-means, also before the mixture, of which the best is kept. If ``None``, 100: with so
        many, the seed of the restarts does not matter.
    resolution
        Resolution of Leiden, instead of ``n_domains``; larger values give more domains.
    n_neighbors
        Number of neighbours in the representation, for Leiden. If ``None``, 15, or all where there are fewer spots.
    key_added
        Key of the answer in ``adata.obs`` and of its parameters in ``adata.uns``.
    seed
        Seed of the restarts and of the communities.
    copy
        Return a copy of ``adata`` that has the answer instead of writing to ``adata``.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obs[key_added]``
        Categorical of ``"1"`` to ``"K"``. Domains are numbered along the first principal component of their centroids,
        so that neighbours in number are neighbours in the representation.
    ``.obs[f"{key_added}_confidence"]``
        For the mixture and k-means, how surely the spot belongs to its domain, from 0 to 1: the posterior probability,
        or the simplified silhouette :math:`(b - a) / \max(a, b)` with the distances :math:`a` to the centroid of its
        own domain and :math:`b` to that of the nearest other one :cite:p:`Hruschka2006`; smoothed like the domains.
    ``.uns[key_added]``
        The parameters, and the numbers of domains and of spots in each.

    Raises
    ------
    KeyError
        If ``use_rep`` is missing, or the spatial graph that smoothing needs.
    ValueError
        If the representation has missing or infinite values, ``n_domains`` is out of range, an argument does not go
        with ``method``, or no resolution yields ``n_domains``.
    ImportError
        If ``method="leiden"`` and igraph is not installed.
    """
    check_choice(method, METHODS, "method")
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    if not isinstance(key_added, str) or not key_added:
        raise TypeError(f"`key_added` is {key_added!r}; pass the name of a column of `adata.obs`.")
    params = _check_combination(method, n_domains, n_init, resolution, n_neighbors, adata.n_obs)
    check_number(smoothing, "smoothing", minimum=0, maximum=0.999)
    graph = read_spatial_graph(adata) if smoothing > 0 else None
    representation = read_representation(adata, use_rep, seed=seed)
    # Clustering starts from draws by row number. In this order they no longer depend on the order of the spots.
    order = _order_by_values(representation)
    in_order = representation[order]
    n_distinct = 1 + int((in_order[1:] != in_order[:-1]).any(axis=1).sum())
    if n_domains is not None and n_domains >= n_distinct:
        raise ValueError(
            f"`n_domains` is {n_domains}, but `{use_rep}` has only {n_distinct} distinct rows; "
            f"it must be smaller than {n_distinct}."
        )

    confidences: np.ndarray | None = None
    if method == "leiden":
        codes, params["resolution"] = leiden_codes(in_order, n_domains, resolution, params["n_neighbors"], seed)
        affinities = np.eye(codes.max() + 1)[codes]
    else:
        partition = kmeans_partition if method == "kmeans" else mixture_partition
        # One thread adds up in one order, so the number of threads changes no label. It is also much faster where other
        # programs run: each of the many short iterations would wait for the slowest thread.
        with threadpool_limits(1, user_api="openmp"):
            affinities, confidences = partition(in_order, cast(int, n_domains), params["n_init"], seed)
    if graph is not None:
        graph_in_order = graph[order][:, order]
        affinities = spread(affinities, graph_in_order, smoothing)
        confidences = None if confidences is None else spread(confidences, graph_in_order, smoothing)
    codes = affinities.argmax(axis=1)
    confidence = None if confidences is None else confidences[np.arange(len(codes)), codes]
    codes = _number_along_first_component(in_order, codes)
    n_found = int(codes.max()) + 1
    if n_domains is not None and n_found < n_domains:
        warnings.warn(
            f"Only {n_found} of {n_domains} domains have spots; pass a smaller `n_domains` or another `seed`.",
            UserWarning,
            stacklevel=2,
        )

    back = np.argsort(order)
    names = [str(number) for number in range(1, n_found + 1)]
    target = adata.copy() if copy else adata
    target.obs[key_added] = pd.Categorical.from_codes(codes[back], categories=names)
    if confidence is not None:
        target.obs[f"{key_added}_confidence"] = confidence[back]
    elif key_added in target.uns and f"{key_added}_confidence" in target.obs:
        # It spoke of the domains that this function put here before.
        del target.obs[f"{key_added}_confidence"]
    target.uns[key_added] = {
        "method": method,
        "use_rep": use_rep,
        "seed": int(seed),
        "smoothing": float(smoothing),
        **params,
        "n_domains": n_found,
        "sizes": np.bincount(codes, minlength=n_found),
    }
    return target if copy else None


def _check_combination(
    method: str,
    n_domains: int | None,
    n_init: int | None,
    resolution: float | None,
    n_neighbors: int | None,
    n_spots: int,
) -> dict[str, Any]:
    """Parameters of the method with their defaults filled in, once they are known to go together."""
    if n_domains is not None:
        check_integer(n_domains, "n_domains", minimum=2)
        if n_domains > n_spots:
            raise ValueError(f"`n_domains` is {n_domains}, but there are only {n_spots} spots; pass a smaller number.")
    if method == "leiden":
        if n_init is not None:
            raise ValueError(f"`n_init` is {n_init}, but method 'leiden' makes no restarts; leave it out.")
        if (n_domains is None) == (resolution is None):
            given = "neither" if n_domains is None else "both"
            raise ValueError(f"Method 'leiden' takes `n_domains` or `resolution`, and {given} was given; pass one.")
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
        raise ValueError(f"`n_domains` is None; method {method!r} needs the number of domains.")
    for name, value in (("resolution", resolution), ("n_neighbors", n_neighbors)):
        if value is not None:
            raise ValueError(f"`{name}` is {value}, but only method 'leiden' has it; leave it out.")
    n_init = _N_INIT if n_init is None else n_init
    check_integer(n_init, "n_init", minimum=1)
    return {"n_init": int(n_init)}


def _order_by_values(representation: np.ndarray) -> np.ndarray:
    """Order of the rows by their first value, then the second and so on."""
    order = np.argsort(representation[:, 0], kind="stable")
    first = representation[order, 0]
    # Sorting by every column is only worth its time for the few rows that share their first value.
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] = first[1:] == first[:-1]
    tied[:-1] |= tied[1:]
    rows = order[tied]
    order[tied] = rows[np.lexsort(representation[rows].T[::-1])]
    return order


def _number_along_first_component(representation: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Codes renumbered from 0 along the first principal component of the centroids, without empty ones."""
    codes = np.unique(codes, return_inverse=True)[1]
    sizes = np.bincount(codes)
    members = sparse.csr_matrix((np.ones(len(codes)), (codes, np.arange(len(codes)))))
    centroids = (members @ representation.astype(np.float64)) / sizes[:, None]
    centred = centroids - centroids.mean(axis=0)
    direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    # The sign of a singular vector is arbitrary: let its largest entry be positive.
    direction = direction * np.sign(direction[np.abs(direction).argmax()])
    order = np.lexsort((sizes, centred @ direction))
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return number[codes]
