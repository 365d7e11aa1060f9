"""Diffusion pseudotime of the spots, and the graph of the domains along it."""

import warnings
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._arguments import check_call
from spotscape._slices import need_slice_key, read_slices
from spotscape._uns import without_none
from spotscape._validate import check_flag, check_integer, check_name, check_present, is_key
from spotscape.tl._representation import neighbor_graph, read_representation

_N_NEIGHBORS = 30
_MIN_SPOTS = 10
# Eigenvalue from which scanpy gives a component the weight 1, because 1 minus the eigenvalue is not accurate.
_SLOW = 0.9994


class _Path(NamedTuple):
    """Trajectory of some spots."""

    pseudotime: np.ndarray
    """``(n_spots,)``."""
    connectivities: np.ndarray
    """``(n_domains, n_domains)``."""
    root: int
    """Row of the root spot."""


def trajectory(
    adata: AnnData,
    root: str,
    *,
    use_rep: str = "X_spotscape",
    domain_key: str = "spatial_domain",
    slice_key: str | None = None,
    per_slice: bool = False,
    n_neighbors: int | None = None,
    n_components: int = 10,
    key_added: str = "pseudotime",
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Order the spots by diffusion pseudotime from a root, and connect the domains by PAGA.

    Both are computed by scanpy on the nearest-neighbour graph of the representation. Diffusion pseudotime
    :cite:p:`Haghverdi2016` is the distance to the root spot in the space of the diffusion components :math:`\phi_m`
    with eigenvalues :math:`\lambda_m`,

    .. math:: t_i \propto \Big( \sum_{m \ge 1} \Big( \frac{\lambda_m}{1 - \lambda_m} \Big)^2
        (\phi_{im} - \phi_{rm})^2 \Big)^{1/2}

    scaled to a maximum of 1. Components with :math:`\lambda_m \ge 0.9994` have a weight of 1, as always in scanpy. PAGA
    :cite:p:`Wolf2019` compares the number of edges between two domains with that expected by chance. A pseudotime is a
    position along the main gradients of the expression, not a time; it is meaningful where the tissue is graded between
    the domains, as cortical layers are. A copy of the representation is used, so nothing that scanpy stored in
    ``adata`` is changed. Needs the extra ``spotscape[leiden]``.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots.
    root
        Name of a domain, or of a spot (in ``adata.obs_names``). For a domain, the pseudotime starts at its most central
        spot: the one nearest to the mean of the domain in the space above. A name that is both is the domain.
    use_rep
        Key of the representation in ``adata.obsm``, or ``"X"``.
    domain_key
        Column of ``adata.obs`` with the domains. Spots without a domain get a pseudotime, and are ignored by PAGA.
    slice_key
        Column of ``adata.obs`` with the slice of each spot, used by ``per_slice``. If ``None``, the one with which the
        spatial graph was built, otherwise ``"slice"``.
    per_slice
        Whether each slice has its own pseudotime, from 0 to 1, and its own graph. By default all slices share them,
        which requires a representation in which slices are integrated.
    n_neighbors
        Number of neighbours in the representation. If ``None``, 30, or all other spots if there are fewer. With 15, the
        default of scanpy, the order agreed less with cortical layers; see :doc:`/user_guide/trajectory`.
    n_components
        Number of diffusion components, with the constant one, as ``n_dcs`` in scanpy.
    key_added
        Key of the pseudotime in ``adata.obs`` and of the other results in ``adata.uns``.
    seed
        Seed of the eigenvectors, and of the approximate neighbours if there are more than 8,192 spots.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obs[key_added]``
        Pseudotime, from 0 at the root to 1. ``(n_spots,)``.
    ``.uns[key_added]``
        A dictionary with ``"order"``, the domains by their mean pseudotime; ``"table"``, a data frame with the columns
        ``domain``, ``n_spots``, ``mean`` and ``sd`` of the pseudotime in each domain; ``"connectivities"``, the PAGA
        connectivities, from 0 to 1, with rows and columns in the order of ``"domains"`` ``(n_domains, n_domains)``;
        ``"root_spots"``, the names of the root spots; and ``"params"``. With ``per_slice``, the table has a row for
        each slice and domain and a column ``slice``, and the connectivities of the slices in ``"slices"`` are stacked
        ``(n_slices, n_domains, n_domains)``.

    Raises
    ------
    KeyError
        If ``root`` is neither a domain nor a spot, or a key is missing.
    ValueError
        If the root has no spots (in a slice), there are fewer than two domains, or the neighbour graph is not
        connected, so that some spots have no distance to the root.
    ImportError
        If igraph, which PAGA uses, is not installed.

    Warns
    -----
    UserWarning
        If the neighbour graph is nearly disconnected, so that the first eigenvalue is at least 0.9994.

    Examples
    --------
    >>> import scanpy as sc
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=300, n_genes=40, n_domains=4, seed=0)
    >>> sc.pp.log1p(adata)
    >>> sc.pp.pca(adata, n_comps=10)
    >>> sps.tl.trajectory(adata, "layer_1", use_rep="X_pca", domain_key="domain")
    >>> str(adata.uns["pseudotime"]["order"][0])
    'layer_1'
    """
    check_call(trajectory, locals())
    check_flag(per_slice, "per_slice")
    check_integer(n_components, "n_components", minimum=2)
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    check_name(key_added, "key_added", "a column of `adata.obs`")
    if find_spec("igraph") is None:
        raise ImportError('`trajectory` needs igraph; run `pip install "spotscape[leiden]"`.')
    check_present(domain_key, "domain_key", adata.obs.columns, "adata.obs")
    domains = adata.obs[domain_key].astype("category")
    slices = None
    if per_slice:
        slice_key = need_slice_key(adata, slice_key)
        slices = read_slices(adata, slice_key)
    elif slice_key is not None:
        raise ValueError(f"`slice_key` is {slice_key!r}, which only applies with `per_slice=True`; omit it.")
    parts = {"": np.arange(adata.n_obs)} if slices is None else _rows_of(slices)
    roots = {name: _root_rows(adata, domains, root, rows, domain_key, name) for name, rows in parts.items()}
    for name, rows in parts.items():
        _check_size(len(rows), n_neighbors, n_components, name)
        if domains.iloc[rows].nunique() < 2:
            raise ValueError(f"`adata.obs[{domain_key!r}]` has fewer than two domains{_in(name)}; find domains first.")
    values = read_representation(adata, use_rep, seed=seed)

    names = domains.cat.remove_unused_categories().cat.categories
    codes = names.get_indexer(domains)
    pseudotime = np.empty(adata.n_obs)
    paths = {}
    for name, rows in parts.items():
        n_nearest = min(_N_NEIGHBORS, len(rows) - 1) if n_neighbors is None else n_neighbors
        data = neighbor_graph(values[rows], n_nearest, seed)
        _check_connected(data, domains.iloc[rows], use_rep, n_nearest, name)
        candidates = np.flatnonzero(np.isin(rows, roots[name]))
        paths[name] = _find_path(data, candidates, codes[rows], len(names), n_components, seed, name)
        pseudotime[rows] = paths[name].pseudotime

    target = adata.copy() if copy else adata
    target.obs[key_added] = pseudotime
    labels = pd.Series(np.asarray(domains.astype(object)), index=adata.obs_names, name="domain")
    means = pd.Series(pseudotime, index=adata.obs_names).groupby(labels).mean()
    connectivities = np.array([path.connectivities for path in paths.values()])
    target.uns[key_added] = without_none(
        {
            "params": without_none(
                {
                    **{"root": root, "use_rep": use_rep, "domain_key": domain_key, "per_slice": per_slice},
                    **{"slice_key": slice_key, "n_neighbors": n_neighbors, "n_components": int(n_components)},
                    "seed": int(seed),
                }
            ),
            "domains": np.array(names.astype(str), dtype=object),
            "order": np.array(means.sort_values(kind="stable").index.astype(str), dtype=object),
            "table": _tabulate(pseudotime, labels, slices, names),
            "connectivities": connectivities if per_slice else connectivities[0],
            "root_spots": np.array([str(adata.obs_names[parts[name][path.root]]) for name, path in paths.items()]),
            "slices": np.array(list(parts), dtype=object) if per_slice else None,
        }
    )
    return target if copy else None


def _find_path(
    data: AnnData, roots: np.ndarray, codes: np.ndarray, n_domains: int, n_components: int, seed: int, slice_name: str
) -> _Path:
    """Pseudotime from the most central root, and PAGA, of data with a neighbour graph."""
    import scanpy

    scanpy.tl.diffmap(data, n_comps=n_components, random_state=seed)
    # The coordinates whose distances are pseudotimes in scanpy.
    eigenvalues = data.uns["diffmap_evals"].astype(np.float64)
    is_slow = eigenvalues >= _SLOW
    if is_slow[1]:
        warnings.warn(
            f"The slowest diffusion component{_in(slice_name)} has the eigenvalue {eigenvalues[1]:.5f}: the neighbour "
            "graph hardly connects its parts, and scanpy gives this component the weight 1; pass a larger "
            "`n_neighbors`.",
            UserWarning,
            stacklevel=3,
        )
    weights = np.where(is_slow, 1, eigenvalues / np.where(is_slow, 1, 1 - eigenvalues))
    coordinates = data.obsm["X_diffmap"] * weights
    centre = coordinates[roots].mean(axis=0)
    root = int(roots[((coordinates[roots] - centre) ** 2).sum(axis=1).argmin()])
    data.uns["iroot"] = root
    scanpy.tl.dpt(data, n_dcs=n_components)
    pseudotime = data.obs["dpt_pseudotime"].to_numpy(dtype=np.float64)

    known = np.flatnonzero(codes >= 0)
    present = np.unique(codes[known])
    data.obs["domain"] = pd.Categorical(codes, categories=present)
    # Spots without a domain are not in its graph.
    graph = data if len(known) == data.n_obs else data[known].copy()
    scanpy.tl.paga(graph, groups="domain")
    connectivities = np.zeros((n_domains, n_domains))
    connectivities[np.ix_(present, present)] = graph.uns["paga"]["connectivities"].toarray()
    return _Path(pseudotime, connectivities, root)


def _rows_of(slices: pd.Series) -> dict[str, np.ndarray]:
    codes = slices.cat.codes.to_numpy()
    return {name: np.flatnonzero(codes == code) for code, name in enumerate(slices.cat.categories)}


def _root_rows(
    adata: AnnData, domains: pd.Series, root: str, rows: np.ndarray, domain_key: str, slice_name: str
) -> np.ndarray:
    """Rows of the root domain or spot among some rows."""
    known = domains.cat.categories.astype(str)
    is_domain = str(root) in known
    if not is_domain and not is_key(root, adata.obs_names):
        raise KeyError(
            f"`root` is {root!r}, which is neither a domain in `adata.obs[{domain_key!r}]` nor the name of a spot; "
            f"pass one of {', '.join(map(repr, known))}."
        )
    is_root = domains.astype(object).map(str).to_numpy() == str(root) if is_domain else adata.obs_names == root
    found = rows[is_root[rows]]
    if is_domain and not len(found):
        raise ValueError(
            f"`root` is {root!r}, but no spot{_in(slice_name)} is in this domain; choose a domain of "
            f"{'every slice' if slice_name else 'the data'}, or leave `per_slice` False."
        )
    if not len(found):
        raise ValueError(
            f"`root` is the spot {root!r}, which is not{_in(slice_name)}; with `per_slice`, pass the name of a domain."
        )
    return found


def _check_size(n_spots: int, n_neighbors: int | None, n_components: int, slice_name: str) -> None:
    if n_spots < _MIN_SPOTS:
        raise ValueError(f"There are only {n_spots} spots{_in(slice_name)}; a trajectory needs at least {_MIN_SPOTS}.")
    if n_neighbors is not None:
        check_integer(n_neighbors, "n_neighbors", minimum=2, maximum=n_spots - 1)
    if n_components > n_spots - 2:
        raise ValueError(
            f"`n_components` is {n_components}, but there are {n_spots} spots{_in(slice_name)}; pass at most "
            f"{n_spots - 2}."
        )


def _check_connected(data: AnnData, domains: pd.Series, use_rep: str, n_neighbors: int, slice_name: str) -> None:
    n_parts, part = sparse.csgraph.connected_components(data.obsp["connectivities"], directed=False)
    if n_parts == 1:
        return
    smallest = np.bincount(part).argmin()
    apart = domains[part == smallest].astype(str).value_counts()
    raise ValueError(
        f"The neighbour graph of `{use_rep}`{_in(slice_name)} has {n_parts} parts without an edge between them, "
        f"the smallest with {int((part == smallest).sum())} spots, most of them of domain {apart.index[0]!r}; pass "
        f"`n_neighbors` above {n_neighbors} or an integrated representation, or leave these spots out."
    )


def _tabulate(pseudotime: np.ndarray, domains: pd.Series, slices: pd.Series | None, names: pd.Index) -> pd.DataFrame:
    """Number of spots, mean and standard deviation of the pseudotime of each domain, in each slice if there are any."""
    frame = pd.DataFrame({"domain": pd.Categorical(domains, categories=names), "value": pseudotime})
    keys = ["domain"]
    if slices is not None:
        frame["slice"] = slices.to_numpy()
        frame["slice"] = pd.Categorical(frame["slice"], categories=slices.cat.categories)
        keys = ["slice", "domain"]
    grouped = frame.groupby(keys, observed=True)["value"]
    table = grouped.agg(n_spots="size", mean="mean", sd="std").reset_index()
    return table.astype(dict.fromkeys(keys, str))


def _in(slice_name: str) -> str:
    return f" in slice {slice_name!r}" if slice_name else ""


def paths_of(result: dict[str, Any]) -> list[tuple[str, np.ndarray]]:
    """Name of each slice and its connectivities, or an empty name and those of all slices together."""
    if "slices" not in result:
        return [("", np.asarray(result["connectivities"]))]
    return list(zip(map(str, result["slices"]), np.asarray(result["connectivities"]), strict=True))
