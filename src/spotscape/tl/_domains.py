"""Spatial domains: a partition of the spots found in a representation of them."""

import warnings
from typing import Any, cast

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.tl._representation import neighbor_graph, read_representation

METHODS = ("kmeans", "mixture", "leiden")
N_COMPONENTS_MIXTURE = 20
N_SPOTS_RESTARTS = 10_000


def domains(
    adata: AnnData,
    use_rep: str = "X_spotscape",
    n_domains: int | None = None,
    *,
    method: str = "kmeans",
    n_init: int | None = None,
    resolution: float | None = None,
    n_neighbors: int | None = None,
    key_added: str = "spatial_domain",
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Find spatial domains by clustering a representation of the spots.

    The order of the spots plays no part: permuted spots get the same domains. Three methods:

    ``"kmeans"``
        k-means with restarts :cite:p:`Lloyd1982,Arthur2007`.
    ``"mixture"``
        Gaussian mixture whose domains share one full covariance,
        :math:`p(z) = \sum_k \pi_k \, \mathcal{N}(z; \mu_k, \Sigma)`, which is the family EEE of mclust that the field
        uses :cite:p:`Scrucca2016`. It is fitted to at most 20 principal components: the covariance has
        :math:`d (d + 1) / 2` entries, and directions that hardly vary would make it singular. Where there are more than
        10,000 spots, the restarts see 10,000 of them, drawn at random, and the best one is then fitted to all.
    ``"leiden"``
        Communities of the neighbour graph of the representation :cite:p:`Traag2019`. Needs the extra
        ``spotscape[leiden]``.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots.
    use_rep
        Key of the representation in ``adata.obsm``, which may come from any package, or ``"X"``. ``"X"`` and sparse
        representations of more than 50 columns are first reduced to their 50 principal components.
    n_domains
        Number of domains, at least 2 and fewer than there are distinct spots. Needed by k-means and the mixture; for
        Leiden, the resolution that yields it is searched.
    method
        ``"kmeans"``, ``"mixture"`` or ``"leiden"``. k-means is the default because it is the steadiest of the three.
    n_init
        Number of restarts of k-means or the mixture, of which the best is kept. If ``None``, 10.
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
    ``.uns[key_added]``
        The parameters, and the numbers of domains and of spots in each.

    Raises
    ------
    KeyError
        If ``use_rep`` is missing.
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
    representation = read_representation(adata, use_rep, seed=seed)
    # Clustering starts from draws by row number. In this order they no longer depend on the order of the spots.
    order = np.lexsort(representation.T[::-1])
    in_order = representation[order]
    n_distinct = 1 + int((in_order[1:] != in_order[:-1]).any(axis=1).sum())
    if n_domains is not None and n_domains >= n_distinct:
        raise ValueError(
            f"`n_domains` is {n_domains}, but `{use_rep}` has only {n_distinct} distinct rows; "
            f"it must be smaller than {n_distinct}."
        )

    if method == "leiden":
        codes, params["resolution"] = _leiden(in_order, n_domains, resolution, params["n_neighbors"], seed)
    else:
        # One thread adds up in one order, so the number of threads changes no label. It is also much faster where other
        # programs run: each of the many short iterations would wait for the slowest thread.
        with threadpool_limits(1, user_api="openmp"):
            if method == "kmeans":
                codes = KMeans(n_domains, n_init=params["n_init"], random_state=seed).fit_predict(in_order)
            else:
                codes = _mixture(in_order, cast(int, n_domains), params["n_init"], seed)
    codes = _number_along_first_component(in_order, codes)
    n_found = int(codes.max()) + 1
    if n_domains is not None and n_found < n_domains:
        warnings.warn(
            f"Only {n_found} of {n_domains} domains have spots; pass a smaller `n_domains` or another `seed`.",
            UserWarning,
            stacklevel=2,
        )

    in_place = np.empty_like(codes)
    in_place[order] = codes
    names = [str(number) for number in range(1, n_found + 1)]
    target = adata.copy() if copy else adata
    target.obs[key_added] = pd.Categorical.from_codes(in_place, categories=names)
    target.uns[key_added] = {
        "method": method,
        "use_rep": use_rep,
        "seed": int(seed),
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
    n_init = 10 if n_init is None else n_init
    check_integer(n_init, "n_init", minimum=1)
    return {"n_init": int(n_init)}


def _mixture(representation: np.ndarray, n_domains: int, n_init: int, seed: int) -> np.ndarray:
    n_components = min(N_COMPONENTS_MIXTURE, *representation.shape)
    pca = PCA(n_components, svd_solver="full" if min(representation.shape) <= 500 else "arpack", random_state=seed)
    scores = pca.fit_transform(representation.astype(np.float64))
    scores = scores[:, pca.explained_variance_ > 1e-10 * pca.explained_variance_[0]]
    # The mixture regularises its covariance by a fixed amount; the unit of the representation must not matter.
    scores /= np.sqrt(scores.var(axis=0).mean())
    shared: dict[str, Any] = {"covariance_type": "tied", "random_state": seed, "max_iter": 500}
    if len(scores) <= N_SPOTS_RESTARTS:
        return GaussianMixture(n_domains, n_init=n_init, **shared).fit_predict(scores)
    drawn = np.random.default_rng(seed).choice(len(scores), N_SPOTS_RESTARTS, replace=False)
    start = GaussianMixture(n_domains, n_init=n_init, **shared).fit(scores[drawn])
    return GaussianMixture(
        n_domains,
        weights_init=start.weights_,
        means_init=start.means_,
        precisions_init=start.precisions_,
        **shared,
    ).fit_predict(scores)


def _leiden(
    representation: np.ndarray, n_domains: int | None, resolution: float | None, n_neighbors: int, seed: int
) -> tuple[np.ndarray, float]:
    """Communities and the resolution that gave them, found by doubling or halving and then by bisection."""
    try:
        import igraph  # noqa: F401
    except ImportError as error:
        raise ImportError("Method 'leiden' needs igraph; run: pip install \"spotscape[leiden]\"") from error
    import scanpy

    light = neighbor_graph(representation, n_neighbors, seed)

    def communities(at: float) -> np.ndarray:
        scanpy.tl.leiden(light, at, flavor="igraph", n_iterations=-1, directed=False, random_state=seed)
        return light.obs["leiden"].cat.codes.to_numpy().astype(np.int64)

    if resolution is not None:
        return communities(float(resolution)), float(resolution)
    n_wanted = cast(int, n_domains)
    n_pieces = sparse.csgraph.connected_components(light.obsp["connectivities"], directed=False)[0]
    if n_pieces > n_wanted:
        raise ValueError(
            f"`n_domains` is {n_wanted}, but its neighbour graph has {n_pieces} pieces that Leiden cannot join; "
            "pass a larger `n_neighbors`, or use method 'kmeans'."
        )
    tried: dict[float, int] = {}
    low, high, at = 0.0, np.inf, 1.0
    for _ in range(40):
        codes = communities(at)
        tried[at] = int(codes.max()) + 1
        if tried[at] == n_wanted:
            return codes, at
        low, high = (at, high) if tried[at] < n_wanted else (low, at)
        at = 2 * low if high == np.inf else high / 2 if low == 0.0 else float(np.sqrt(low * high))
        if low > 0 and high / low < 1 + 1e-4:
            break
    closest = min(tried, key=lambda value: abs(tried[value] - n_wanted))
    raise ValueError(
        f"No resolution was found that gives `n_domains` = {n_wanted}; {closest:.4g} gives {tried[closest]}. "
        "Pass another `seed` or `n_neighbors`, or that `resolution`."
    )


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
