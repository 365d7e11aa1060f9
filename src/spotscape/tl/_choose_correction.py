"""Choosing how differences between slices are removed, by genes that the correction has not seen."""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from spotscape._arguments import check_call
from spotscape._bars import progress_bar
from spotscape._slices import need_slice_key, read_slices
from spotscape._uns import without_none
from spotscape._validate import check_choice, check_integer, check_name, check_present, shown
from spotscape.graph import build_spatial_graph
from spotscape.preprocessing import Preprocessor
from spotscape.preprocessing._subsample import evenly_spaced_rows
from spotscape.preprocessing.correction._registry import CORRECTIONS, correction_named
from spotscape.tl.expression._counts import read_counts

_N_NEIGHBORS_SPACE = 6
_N_HOPS = 2
_N_MATCHES = 15
_N_QUERIES = 5000
_MIN_SPOTS_WITH_GENE = 5
_MIN_GENES = 20


def choose_slice_correction(
    adata: AnnData,
    slice_key: str | None = None,
    *,
    donor_key: str | None = None,
    candidates: Sequence[str] = ("none", "harmony"),
    layer: str | None = None,
    size_factor_key: str | None = None,
    spatial_key: str = "spatial",
    n_splits: int = 2,
    key_added: str = "slice_correction",
    seed: int = 0,
) -> str:
    r"""Choose a correction of slices by how well spots of other slices predict genes that it has not seen.

    A correction brings spots of different slices together, also where their tissue differs. Neither mixing nor labels
    tell whether that was right, but other genes do. The genes are divided at random into two halves. From one half,
    principal components are computed, corrected, and averaged twice over the six spatial neighbours. Each spot then has
    its 15 nearest spots of the other slices, whose mean predicts its averaged components :math:`y` of the other half.
    The agreement of a candidate is the correlation of prediction :math:`p` and truth within slices,

    .. math::

        a = \frac{1}{M} \sum_{s=1}^{M} \frac{\sum_{i \in s} (y_i - \bar y_s)^\top (p_i - \bar p_s)}
        {\sqrt{\sum_{i \in s} \lVert y_i - \bar y_s \rVert^2 \, \sum_{i \in s} \lVert p_i - \bar p_s \rVert^2}},

    averaged over both halves and all splits. The candidate with the highest agreement is chosen. Differences of whole
    slices do not count, because means of slices are subtracted. The user guide, :doc:`/user_guide/integration`, reports
    how often the choice is right.

    Parameters
    ----------
    adata
        Annotated data with counts of at least two slices.
    slice_key
        Column of ``adata.obs`` with the slice of each spot. If ``None``, the one with which the spatial graph was
        built, otherwise ``"slice"``.
    donor_key
        Column of ``adata.obs`` with the donor of each slice, if donors have several. Spots are then compared with those
        of other donors: slices of one donor resemble each other without any correction. ``None``: with all other
        slices.
    candidates
        Corrections, values of ``slice_correction`` of the models: ``"none"``, ``"centre"``, ``"combat"``,
        ``"harmony"``.
    layer
        Layer with the counts. If ``None``, what ``adata`` was set up with for a model, otherwise ``"counts"``,
        otherwise ``adata.X``.
    size_factor_key
        Column of ``adata.obs`` with the total of each spot over all genes, where ``adata`` has a part of them.
    spatial_key
        Key of the coordinates in ``adata.obsm``.
    n_splits
        Number of random divisions of the genes.
    key_added
        Key of the result in ``adata.uns``.
    seed
        Seed of the divisions and corrections.

    Returns
    -------
    The chosen correction. Sets ``adata.uns[key_added]`` with

    ``"chosen"``
        The chosen correction.
    ``"table"``
        Data frame with one row per candidate: ``correction``, ``agreement``, and ``sd`` over splits and halves. If the
        agreements differ by less than that, the data do not decide.
    ``"params"``
        The parameters.

    Raises
    ------
    KeyError
        If a column, a layer or the coordinates do not exist.
    ValueError
        If there is only one slice, the values are not counts, there are fewer than 40 genes, or an argument is out of
        range.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=150, n_genes=80, batch_effect="strong", seed=0)
    >>> chosen = sps.tl.choose_slice_correction(adata, "slice", n_splits=1)
    >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    >>> model = sps.SPOTSCAPE(adata, slice_correction=chosen)
    """
    check_call(choose_slice_correction, locals())
    if isinstance(candidates, str) or not isinstance(candidates, Iterable) or len(set(candidates)) < 2:
        raise ValueError(f"`candidates` is {shown(candidates)}; pass at least two of {', '.join(CORRECTIONS)}.")
    for name in candidates:
        check_choice(name, CORRECTIONS, "candidates")
    check_integer(n_splits, "n_splits", minimum=1)
    check_integer(seed, "seed", minimum=0, maximum=2**31 - 1)
    check_name(key_added, "key_added", "an entry of `adata.uns`")
    slice_key = need_slice_key(adata, slice_key)
    slices = read_slices(adata, slice_key).to_numpy(str)
    if len(np.unique(slices)) < 2:
        raise ValueError(f"`adata.obs[{slice_key!r}]` has one slice only; there is nothing to correct.")
    donors = slices if donor_key is None else _read_donors(adata, donor_key, slices)
    check_present(spatial_key, "spatial_key", adata.obsm.keys(), "adata.obsm")
    counts = read_counts(adata, layer, size_factor_key, None)
    expressed = np.flatnonzero(counts.matrix.getnnz(axis=0) >= _MIN_SPOTS_WITH_GENE)
    if len(expressed) < 2 * _MIN_GENES:
        raise ValueError(
            f"{len(expressed)} genes are expressed in at least {_MIN_SPOTS_WITH_GENE} spots; halves of genes need "
            f"{2 * _MIN_GENES} or more."
        )
    averaging = _averaging(adata.obsm[spatial_key], slices)
    rng = np.random.default_rng(seed)
    names = list(dict.fromkeys(candidates))
    agreements = []
    for _ in progress_bar(range(n_splits), desc="Divisions of genes", leave=False, delay=2):
        drawn = rng.permutation(expressed)
        halves = [np.sort(drawn[::2]), np.sort(drawn[1::2])]
        features = [_components(counts.matrix[:, half], slices, counts.size_factors) for half in halves]
        for used, held_out in (features, features[::-1]):
            truth = averaging @ held_out
            agreements.append(
                [_agreement(_corrected(used, slices, name, averaging, seed), truth, slices, donors) for name in names]
            )
    means, deviations = np.mean(agreements, axis=0), np.std(agreements, axis=0, ddof=1)
    chosen = names[int(means.argmax())]
    table = pd.DataFrame({"correction": names, "agreement": means, "sd": deviations}, index=names)
    params = {"slice_key": slice_key, "donor_key": donor_key, "layer": layer}
    params |= {"size_factor_key": size_factor_key, "spatial_key": spatial_key}
    adata.uns[key_added] = {
        "chosen": chosen,
        "table": table,
        "params": without_none(params | {"n_splits": int(n_splits), "seed": int(seed)}),
    }
    return chosen


def _read_donors(adata: AnnData, donor_key: str, slices: np.ndarray) -> np.ndarray:
    """Donor of each spot. Raises unless each slice has one donor, and there are at least two."""
    check_present(donor_key, "donor_key", adata.obs.columns, "adata.obs")
    donors = pd.Series(adata.obs[donor_key].astype(str).to_numpy())
    n_donors = donors.groupby(slices).nunique()
    if (n_donors > 1).any():
        raise ValueError(
            f"`donor_key` is {donor_key!r}, but slice {n_donors.idxmax()!r} has {n_donors.max()} of its values; pass a "
            "column with one value per slice."
        )
    if donors.nunique() < 2:
        raise ValueError(f"`donor_key` is {donor_key!r}, which has one value only; leave it out to compare slices.")
    return donors.to_numpy(str)


def _averaging(coordinates: object, slices: np.ndarray) -> sparse.csr_matrix:
    """Matrix that averages twice over each spot and its six neighbours. ``(n_spots, n_spots)``."""
    smallest = min(np.unique(slices, return_counts=True)[1])
    graph = build_spatial_graph(coordinates, slices, n_neighbors=min(_N_NEIGHBORS_SPACE, smallest - 1))
    once = sparse.csr_matrix(graph.connectivities + sparse.identity(len(slices), format="csr"))
    once = sparse.diags(1 / np.asarray(once.sum(axis=1)).ravel()) @ once
    return sparse.csr_matrix(once @ once)


def _components(counts: sparse.csr_matrix, slices: np.ndarray, size_factors: np.ndarray) -> np.ndarray:
    names = [str(number) for number in range(counts.shape[1])]
    with warnings.catch_warnings():
        # A spot may have none of the genes of a half.
        warnings.filterwarnings("ignore", message=".*have no expression")
        preprocessor = Preprocessor().fit(counts, names, slices=slices, size_factors=size_factors)
        return preprocessor.transform(counts, size_factors=size_factors).astype(np.float64)


def _corrected(
    features: np.ndarray, slices: np.ndarray, name: str, averaging: sparse.csr_matrix, seed: int
) -> np.ndarray:
    return averaging @ correction_named(name).fit(features, slices, seed=seed).transform(features, slices)


def _agreement(features: np.ndarray, truth: np.ndarray, slices: np.ndarray, donors: np.ndarray) -> float:
    """Mean over slices of the correlation of held-out components with their prediction from other donors."""
    found = []
    for name in np.unique(slices):
        own = np.flatnonzero(slices == name)
        others = np.flatnonzero(donors != donors[own[0]])
        own = own[evenly_spaced_rows(len(own), _N_QUERIES)]
        matches = NearestNeighbors(n_neighbors=min(_N_MATCHES, len(others))).fit(features[others])
        predicted = truth[others[matches.kneighbors(features[own], return_distance=False)]].mean(axis=1)
        first, second = (values - values.mean(axis=0) for values in (truth[own], predicted))
        size = np.sqrt((first**2).sum() * (second**2).sum())
        found.append((first * second).sum() / size if size > 0 else 0.0)
    return float(np.mean(found))
