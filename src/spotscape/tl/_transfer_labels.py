"""Labels of annotated spots, handed on to spots that have none."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from spotscape._slices import need_slice_key, read_slices
from spotscape._validate import check_integer
from spotscape.tl._representation import read_representation

# Neighbours in a smoothed representation are not independent witnesses: where all of them agreed, nine in ten labels of
# another cortex section were right.
_DOUBT = 0.13


def transfer_labels(
    adata: AnnData,
    labels_key: str,
    reference: AnnData | str | Sequence[str] | None = None,
    query: str | Sequence[str] | None = None,
    *,
    use_rep: str = "X_spotscape",
    coupling: str | None = None,
    n_neighbors: int = 15,
    slice_key: str | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    r"""Hand the labels of annotated spots on to others.

    A spot takes the label that most of its nearest annotated spots in the representation have. Nearest is largest
    cosine similarity, since the length of a representation follows sequencing depth more than tissue does. With
    ``coupling``, the annotated spots vote that an alignment has coupled the spot to, each with its weight.

    Parameters
    ----------
    adata
        Annotated data that the labels are written to.
    labels_key
        Column of ``obs`` with the labels; a missing value is a spot that is not annotated.
    reference
        Where labels come from: names of slices of ``adata``, or another AnnData with the same representation, such as
        the data that a model was trained on where ``adata`` is a new section. ``None``: all annotated spots outside
        ``query``.
    query
        Names of the slices that get labels. ``None``: all spots that labels do not come from.
    use_rep
        Key of the representation in ``obsm``.
    coupling
        Key in ``adata.obsp`` of a matrix whose rows are the spots that get labels and whose columns those that labels
        come from, to use in place of a representation.
    n_neighbors
        Number of nearest annotated spots that vote, or all where there are fewer.
    slice_key
        Column of ``adata.obs`` with the slice of each spot, for ``reference`` and ``query``. ``None``: the one with
        which the spatial graph was built, otherwise ``"slice"``.
    key_added
        Key of the answer in ``adata.obs`` and of its parameters in ``adata.uns``. ``None``:
        ``f"{labels_key}_transferred"``.
    copy
        Return a copy of ``adata`` that has the answer instead of writing to ``adata``.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obs[key_added]``
        Categorical with the categories of ``labels_key``. Missing where there is no evidence: no coupled spot is
        annotated, or the representation is zero. Spots of ``adata`` that labels come from keep their own.
    ``.obs[f"{key_added}_confidence"]``
        How sure the label is, from 0 to 1: :math:`0.87\, v + 0.13 / K` for a share :math:`v` of the votes and :math:`K`
        labels of the reference, since neighbours are no independent witnesses. It knows nothing of labels that the
        reference lacks. Missing for spots that were given no label. The user guide, :doc:`/user_guide/new_sections`,
        holds it against annotations.
    ``.uns[key_added]``
        The parameters, and the numbers of spots that labels came from, that got one, and that were left without.

    Raises
    ------
    KeyError
        If a column, a slice, the representation or the coupling is missing.
    ValueError
        If no spot is annotated or none is left to label, an argument does not go with another, or the two AnnData do
        not share their representation.
    """
    check_integer(n_neighbors, "n_neighbors", minimum=1)
    key_added = f"{labels_key}_transferred" if key_added is None else key_added
    if not isinstance(key_added, str) or not key_added or key_added == labels_key:
        raise ValueError(f"`key_added` is {key_added!r}; pass the name of a column of `adata.obs` for the new labels.")
    source = reference if isinstance(reference, AnnData) else adata
    labels = _read_labels(source, labels_key)
    gives, takes = _find_roles(adata, labels, reference, query, slice_key)
    if coupling is not None:
        votes = _votes_by_coupling(adata, coupling, source, gives, takes, labels)
    else:
        votes = _votes_by_neighbors(adata, use_rep, source, gives, takes, labels, n_neighbors)

    total = votes.sum(axis=1)
    found = total > 0
    codes = np.full(adata.n_obs, -1)
    codes[takes[found]] = votes[found].argmax(axis=1)
    confidence = np.full(adata.n_obs, np.nan)
    share = votes[found].max(axis=1) / total[found]
    confidence[takes[found]] = (1 - _DOUBT) * share + _DOUBT / labels.iloc[gives].nunique()
    if source is adata:
        codes[gives] = labels.cat.codes.to_numpy()[gives]

    adata = adata.copy() if copy else adata
    adata.obs[key_added] = pd.Categorical.from_codes(codes, labels.cat.categories, ordered=labels.cat.ordered)
    adata.obs[f"{key_added}_confidence"] = confidence
    evidence = {"coupling": coupling} if coupling is not None else {"use_rep": use_rep, "n_neighbors": n_neighbors}
    adata.uns[key_added] = {
        "params": {"labels_key": labels_key} | evidence,
        "n_reference": len(gives),
        "n_labelled": int(found.sum()),
        "n_without": int((~found).sum()),
    }
    if source is adata and f"{labels_key}_colors" in adata.uns:
        adata.uns[f"{key_added}_colors"] = adata.uns[f"{labels_key}_colors"]
    return adata if copy else None


def _read_labels(source: AnnData, labels_key: str) -> pd.Series:
    if labels_key not in source.obs:
        raise KeyError(
            f"`labels_key` is {labels_key!r}, which is not in `obs` of the reference; there are {list(source.obs)}."
        )
    labels = source.obs[labels_key].astype("category")
    if labels.isna().all():
        raise ValueError(f"`obs[{labels_key!r}]` of the reference has no labels; annotate some of its spots first.")
    return labels


def _find_roles(
    adata: AnnData,
    labels: pd.Series,
    reference: AnnData | str | Sequence[str] | None,
    query: str | Sequence[str] | None,
    slice_key: str | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the spots that labels come from, and of those that they go to."""
    annotated = labels.notna().to_numpy()
    chosen = None if query is None else _in_slices(adata, query, slice_key, "query")
    if isinstance(reference, AnnData):
        gives, takes = annotated, np.ones(adata.n_obs, dtype=bool) if chosen is None else chosen
    elif reference is None:
        gives = annotated if chosen is None else annotated & ~chosen
        takes = ~gives if chosen is None else chosen
    else:
        there = _in_slices(adata, reference, slice_key, "reference")
        gives, takes = annotated & there, ~there if chosen is None else chosen
        if (there & takes).any():
            raise ValueError("`reference` and `query` share a slice; name each slice in one of them.")
    if not gives.any():
        raise ValueError("No spot of the reference is annotated; name annotated slices in `reference`.")
    if not takes.any():
        raise ValueError("There is no spot to label; name the slices that get labels in `query`.")
    return np.flatnonzero(gives), np.flatnonzero(takes)


def _in_slices(adata: AnnData, names: str | Sequence[str], slice_key: str | None, argument: str) -> np.ndarray:
    """Whether each spot is of one of these slices. ``(n_spots,)``."""
    slice_key = need_slice_key(adata, slice_key)
    slices = read_slices(adata, slice_key)
    wanted = [names] if isinstance(names, str) else [str(name) for name in names]
    unknown = [name for name in wanted if name not in set(slices)]
    if unknown:
        raise KeyError(
            f"`{argument}` names {unknown[0]!r}, which is no slice in `adata.obs[{slice_key!r}]`; there are "
            f"{', '.join(sorted(set(slices)))}."
        )
    return slices.isin(wanted).to_numpy()


def _votes_by_coupling(
    adata: AnnData, coupling: str, source: AnnData, gives: np.ndarray, takes: np.ndarray, labels: pd.Series
) -> np.ndarray:
    """Weight of each label among the spots that each spot is coupled to. ``(n_taking, n_labels)``."""
    if source is not adata:
        raise ValueError("`coupling` joins spots of one AnnData, but `reference` is another; leave out one of them.")
    if coupling not in adata.obsp:
        there = ", ".join(map(repr, adata.obsp)) or "nothing"
        raise KeyError(f"`coupling` is {coupling!r}, which is not in `adata.obsp`; there is {there}.")
    weights = sparse.csr_matrix(adata.obsp[coupling])
    if not np.isfinite(weights.data).all() or (weights.data < 0).any():
        raise ValueError(f"`adata.obsp[{coupling!r}]` has weights that are negative or not finite; align anew.")
    codes = labels.cat.codes.to_numpy()[gives]
    one_hot = sparse.csr_matrix((np.ones(len(gives)), (np.arange(len(gives)), codes)), (len(gives), _n_labels(labels)))
    return (weights[takes][:, gives] @ one_hot).toarray()


def _votes_by_neighbors(
    adata: AnnData,
    use_rep: str,
    source: AnnData,
    gives: np.ndarray,
    takes: np.ndarray,
    labels: pd.Series,
    n_neighbors: int,
) -> np.ndarray:
    """Number of votes for each label among the nearest annotated spots. ``(n_taking, n_labels)``."""
    own = read_representation(adata, use_rep)
    other = own if source is adata else read_representation(source, use_rep)
    if own.shape[1] != other.shape[1]:
        raise ValueError(
            f"`{use_rep}` has {own.shape[1]} columns here but {other.shape[1]} in the reference; make both with one "
            "model."
        )
    if source is not adata and (use_rep == "X" or sparse.issparse(adata.obsm[use_rep])):
        raise ValueError(
            f"`use_rep` is {use_rep!r}, whose principal components differ between two AnnData; pass a dense "
            "representation that both share."
        )
    known, asked = _directions(other[gives]), _directions(own[takes])
    has_direction = asked.any(axis=1)
    votes = np.zeros((len(takes), _n_labels(labels)))
    if not has_direction.any():
        return votes
    # Between vectors of length one, the smallest distance is the largest cosine similarity.
    search = NearestNeighbors(n_neighbors=min(n_neighbors, len(gives))).fit(known)
    nearest = search.kneighbors(asked[has_direction], return_distance=False)
    codes = labels.cat.codes.to_numpy()[gives][nearest]
    rows = np.flatnonzero(has_direction)[:, None]
    np.add.at(votes, (np.broadcast_to(rows, codes.shape), codes), 1)
    return votes


def _directions(values: np.ndarray) -> np.ndarray:
    """Rows scaled to length one; zero rows stay zero."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)


def _n_labels(labels: pd.Series) -> int:
    return len(labels.cat.categories)
