"""Enrichment of pairs of domains or cell types among spatial neighbours."""

import warnings

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._arguments import check_call
from spotscape._slices import find_slice_key, read_slices
from spotscape._uns import without_none
from spotscape._validate import check_integer, check_name, check_present
from spotscape.graph import read_graph, validate_graph


def neighborhood_enrichment(
    adata: AnnData,
    domain_key: str = "spatial_domain",
    *,
    slice_key: str | None = None,
    graph_key: str = "spatial",
    n_permutations: int = 1000,
    key_added: str | None = None,
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Test which domains or cell types are spatial neighbours more often than by chance.

    For domains :math:`a, b`, the count :math:`c_{ab}` is the number of ordered pairs of neighbouring spots of which the
    first is in :math:`a` and the second in :math:`b`, so an edge within a domain counts twice. It is compared with the
    counts :math:`c^{(p)}_{ab}` after permuting the domains among the spots of each slice,

    .. math:: z_{ab} = \frac{c_{ab} - \overline{c^{(p)}_{ab}}}{\mathrm{sd}_p \, c^{(p)}_{ab}}, \qquad
        c_{ab} = \sum_s c^s_{ab}, \quad c^{(p)}_{ab} = \sum_s c^{s(p)}_{ab}

    for each slice :math:`s` on its own, and for all slices together (pooled), whose counts are sums. Domains are never
    exchanged between slices, so a difference between the compositions of slices does not look like a neighbourhood. The
    permutations are those of ``squidpy.gr.nhood_enrichment`` :cite:p:`Palla2022`. The expected counts do not need them:

    .. math:: \mathrm{E}\, c_{ab} = \sum_s e_s \, \frac{n^s_a \, (n^s_b - [a = b])}{n^s (n^s - 1)}

    with :math:`e_s` ordered pairs of neighbours, and :math:`n^s_a` spots of :math:`a` among the :math:`n^s` spots of
    the slice. Needs the extra ``spotscape[squidpy]``.

    z-scores grow with the number of spots, and domains are contiguous by construction, so the diagonal is always
    enriched. Compare slices by the ratio of the count to the expected count.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots with a spatial graph.
    domain_key
        Column of ``adata.obs`` with the domains or cell types. Spots without one are left out, with their edges.
    slice_key
        Column of ``adata.obs`` with the slice of each spot. If ``None``, the one with which the spatial graph was
        built, otherwise ``"slice"`` if there is such a column, otherwise all spots are one slice.
    graph_key
        Prefix of the keys of the spatial graph, as in :func:`spotscape.graph.read_graph`. Weights are ignored, and an
        edge in one direction counts as one in both.
    n_permutations
        Number of permutations. With 1,000, z-scores have an error of about 2 %.
    key_added
        Key of the result in ``adata.uns``. If ``None``, ``f"{domain_key}_neighborhood"``.
    seed
        Seed of the permutations.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets ``.uns[key_added]``, a dictionary with

    ``"domains"``
        Names of the rows and columns of the matrices. ``(n_domains,)``.
    ``"zscore"``, ``"count"``, ``"expected"``
        Pooled matrices. ``(n_domains, n_domains)``. A z-score is missing if no permutation changes the count.
    ``"table"``
        Data frame of the results of each slice, with the columns ``slice``, ``domain``, ``neighbor``, ``count``,
        ``expected`` and ``zscore``. Pairs of which a slice lacks a domain are left out.
    ``"params"``
        The parameters.

    Raises
    ------
    KeyError
        If a column or the spatial graph is missing.
    ValueError
        If there are fewer than two domains, no edge joins two spots with a domain, or the graph is not valid.
    ImportError
        If squidpy is not installed.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=100, n_genes=40, n_domains=3, seed=0)
    >>> sps.pp.spatial_neighbors(adata, slice_key="slice")
    >>> sps.tl.neighborhood_enrichment(adata, "domain", n_permutations=50)
    >>> result = adata.uns["domain_neighborhood"]
    >>> bool((result["zscore"].diagonal() > 2).all())
    True
    """
    check_call(neighborhood_enrichment, locals())
    check_name(domain_key, "domain_key", "a column of `adata.obs`")
    check_present(domain_key, "domain_key", adata.obs.columns, "adata.obs")
    check_integer(n_permutations, "n_permutations", minimum=2)
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    key_added = f"{domain_key}_neighborhood" if key_added is None else key_added
    check_name(key_added, "key_added", "an entry of `adata.uns`")
    try:
        # Some releases of squidpy warn about their own docstrings when they are imported.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            import squidpy  # noqa: F401
    except ImportError as error:
        raise ImportError('`neighborhood_enrichment` needs squidpy; run: pip install "spotscape[squidpy]"') from error
    slice_key = find_slice_key(adata, slice_key)
    slices = pd.Series(pd.Categorical([""] * adata.n_obs)) if slice_key is None else read_slices(adata, slice_key)
    stored = read_graph(adata, graph_key)
    if stored is None:
        raise KeyError(
            f"`graph_key` is {graph_key!r}, but there is no `adata.obsp['{graph_key}_connectivities']`; call "
            "`spotscape.pp.spatial_neighbors` first."
        )
    graph = validate_graph(stored, slices.to_numpy())
    known = np.flatnonzero(adata.obs[domain_key].notna())
    domains = adata.obs[domain_key].iloc[known].astype("category").cat.remove_unused_categories()
    names = domains.cat.categories.astype(str)
    graph, slices = graph[known][:, known], slices.iloc[known].cat.remove_unused_categories()
    if len(names) < 2:
        raise ValueError(f"`adata.obs[{domain_key!r}]` has {len(names)} domain(s), but a comparison needs two.")
    if graph.nnz == 0:
        raise ValueError(f"No edge joins two spots that have a domain in `adata.obs[{domain_key!r}]`; build the graph.")

    codes, of_slice = domains.cat.codes.to_numpy().astype(np.int64), slices.cat.codes.to_numpy()
    zscore, count = _enrichment(graph, codes, of_slice, len(names), n_permutations, seed)
    expected = np.zeros_like(zscore)
    tables = []
    for number, slice_name in enumerate(slices.cat.categories):
        spots = np.flatnonzero(of_slice == number)
        part = sparse.csr_matrix(graph[spots][:, spots])
        expected_here = expected_counts(part.nnz, np.bincount(codes[spots], minlength=len(names)))
        expected += expected_here
        present, renumbered = np.unique(codes[spots], return_inverse=True)
        z, counts = np.full((1, 1), np.nan), np.array([[part.nnz]])
        if len(present) > 1:
            one_slice = np.zeros(len(spots), dtype=np.int64)
            z, counts = _enrichment(part, renumbered, one_slice, len(present), n_permutations, seed)
        first, second = (index.ravel() for index in np.indices(z.shape))
        tables.append(
            pd.DataFrame(
                {
                    "slice": str(slice_name),
                    "domain": names[present[first]],
                    "neighbor": names[present[second]],
                    "count": counts.ravel(),
                    "expected": expected_here[present[first], present[second]],
                    "zscore": z.ravel(),
                }
            )
        )
    params = {
        "domain_key": domain_key,
        "slice_key": slice_key,
        "graph_key": graph_key,
        "n_permutations": int(n_permutations),
        "seed": int(seed),
    }
    target = adata.copy() if copy else adata
    target.uns[key_added] = {
        "params": without_none(params),
        "domains": np.array(names, dtype=object),
        "zscore": zscore,
        "count": count,
        "expected": expected,
        "table": pd.concat(tables, ignore_index=True),
    }
    return target if copy else None


def expected_counts(n_pairs: int, sizes: np.ndarray) -> np.ndarray:
    """Expected number of ordered pairs of neighbours between domains of these sizes under permutation."""
    n_spots = sizes.sum()
    if n_spots < 2:
        return np.zeros((len(sizes), len(sizes)))
    return n_pairs * sizes[:, None] * (sizes - np.eye(len(sizes))) / (n_spots * (n_spots - 1))


def _enrichment(
    graph: sparse.csr_matrix, codes: np.ndarray, slices: np.ndarray, n_domains: int, n_permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """z-scores and counts of squidpy, with permutations within slices. ``(n_domains, n_domains)`` each."""
    import squidpy

    light = AnnData(
        obs=pd.DataFrame(
            {
                "domain": pd.Categorical(codes, categories=range(n_domains)),
                "slice": pd.Categorical(slices),
            },
            index=[str(row) for row in range(len(codes))],
        ),
        obsp={"spatial_connectivities": graph},
    )
    # A count that no permutation changes has no z-score.
    with np.errstate(divide="ignore", invalid="ignore"):
        zscore, count = squidpy.gr.nhood_enrichment(
            light,
            "domain",
            library_key="slice",
            n_perms=n_permutations,
            seed=seed,
            copy=True,
            n_jobs=1,
            show_progress_bar=False,
        )
    return np.where(np.isfinite(zscore), zscore, np.nan), np.asarray(count, dtype=np.int64)
