"""Label transfer from annotated spots to other spots."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from spotscape._arguments import check_call
from spotscape._slices import need_slice_key, read_slices, requested_slices
from spotscape._uns import without_none
from spotscape._validate import check_integer, check_present, check_replaceable, checked_names
from spotscape.tl._representation import read_representation, unit_vectors

# Neighbours in a smoothed representation are not independent: where all of them agreed, nine in ten labels of another
# cortex section were right.
_UNCERTAINTY = 0.13

_N_NEIGHBORS = 15


def transfer_labels(
    adata: AnnData,
    labels_key: str,
    reference: AnnData | str | Sequence[str] | None = None,
    query: str | Sequence[str] | None = None,
    *,
    use_rep: str = "X_spotscape",
    coupling: str | None = None,
    n_neighbors: int = _N_NEIGHBORS,
    slice_key: str | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    r"""Transfer the labels of annotated spots to other spots.

    Each spot takes the most frequent label of its nearest annotated spots in the representation. Nearest means largest
    cosine similarity, because the length of a representation depends more on sequencing depth than on tissue. With
    ``coupling``, the votes are those of the annotated spots that an alignment coupled the spot with, weighted by the
    coupling.

    Parameters
    ----------
    adata
        Annotated data to which the labels are written.
    labels_key
        Column of ``obs`` with the labels; missing values are spots without annotation.
    reference
        Source of the labels: names of slices of ``adata``, or another AnnData with the same representation, for example
        the training data of a model where ``adata`` is a new section. If ``None``, all annotated spots outside
        ``query``.
    query
        Names of the slices to label. If ``None``, all spots that are not in the reference.
    use_rep
        Key of the representation in ``obsm``.
    coupling
        Key in ``adata.obsp`` of a matrix with rows for query spots and columns for reference spots, such as that of
        :func:`align`, which is used instead of the representation.
    n_neighbors
        Number of nearest annotated spots that vote, or all if there are fewer.
    slice_key
        Column of ``adata.obs`` with the slice of each spot, used by ``reference`` and ``query``. If ``None``, the one
        with which the spatial graph was built, otherwise ``"slice"``.
    key_added
        Key of the result in ``adata.obs`` and of the parameters in ``adata.uns``. If ``None``,
        ``f"{labels_key}_transferred"``.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obs[key_added]``
        Categorical with the categories of ``labels_key``. Missing for spots without evidence: no coupled spot is
        annotated, or the representation is zero. Reference spots of ``adata`` keep their own labels.
    ``.obs[f"{key_added}_confidence"]``
        Confidence in the label, from 0 to 1: :math:`0.87\, v + 0.13 / K` for a share :math:`v` of the votes and
        :math:`K` labels in the reference. It is closer to chance than :math:`v`, because neighbours are not
        independent. It does not account for labels that are absent from the reference. Missing for spots without a
        transferred label. The user guide, :doc:`/user_guide/new_sections`, compares it with annotations.
    ``.uns[key_added]``
        The parameters, and the numbers of reference spots, of query spots with a label, and of query spots without.

    Raises
    ------
    KeyError
        If a column, a slice, the representation or the coupling is missing.
    ValueError
        If no spot is annotated or none is to be labelled, two arguments are incompatible, or the two AnnData have
        different representations.

    Examples
    --------
    >>> import scanpy as sc
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, seed=0)
    >>> sc.pp.log1p(adata)
    >>> sc.pp.pca(adata, n_comps=10)
    >>> sps.tl.transfer_labels(adata, "domain", reference="slice_1", query="slice_2", use_rep="X_pca")
    >>> adata.uns["domain_transferred"]["n_labelled"]
    200
    """
    check_call(transfer_labels, locals())
    check_integer(n_neighbors, "n_neighbors", minimum=1)
    key_added = f"{labels_key}_transferred" if key_added is None else key_added
    if not isinstance(key_added, str) or not key_added or key_added == labels_key:
        raise ValueError(f"`key_added` is {key_added!r}; pass the name of a column of `adata.obs` for the new labels.")
    check_replaceable(adata, key_added, "key_added", own=f"{labels_key}_transferred")
    if coupling is not None and n_neighbors != _N_NEIGHBORS:
        raise ValueError(f"`n_neighbors` is {n_neighbors}, which does not apply to a `coupling`; omit one of them.")
    source = reference if isinstance(reference, AnnData) else adata
    check_present(labels_key, "labels_key", source.obs.columns, "adata.obs" if source is adata else "reference.obs")
    column = source.obs[labels_key]
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 != 0).any():
        raise ValueError(f"`labels_key` is {labels_key!r}, a column of continuous numbers; pass one with labels.")
    labels = column.astype("category")
    if labels.isna().all():
        raise ValueError(f"`obs[{labels_key!r}]` of the reference has no labels; annotate some of its spots first.")
    reference_rows, query_rows = _select_spots(adata, labels, reference, query, slice_key)
    if coupling is not None:
        weights = _read_coupling(adata, coupling, source)[query_rows][:, reference_rows]
    else:
        vectors, source_vectors = _read_vectors(adata, use_rep, source)
        weights = _neighbor_weights(vectors[query_rows], source_vectors[reference_rows], n_neighbors)
    reference_codes = labels.cat.codes.to_numpy()[reference_rows]
    votes = (weights @ sparse.eye(len(labels.cat.categories), format="csr")[reference_codes]).toarray()

    total = votes.sum(axis=1)
    found = total > 0
    codes = np.full(adata.n_obs, -1)
    codes[query_rows[found]] = votes[found].argmax(axis=1)
    confidence = np.full(adata.n_obs, np.nan)
    share = votes[found].max(axis=1) / total[found]
    confidence[query_rows[found]] = (1 - _UNCERTAINTY) * share + _UNCERTAINTY / len(np.unique(reference_codes))
    if source is adata:
        codes[reference_rows] = reference_codes

    adata = adata.copy() if copy else adata
    adata.obs[key_added] = pd.Categorical.from_codes(codes, labels.cat.categories, ordered=labels.cat.ordered)
    adata.obs[f"{key_added}_confidence"] = confidence
    evidence = {"coupling": coupling} if coupling is not None else {"use_rep": use_rep, "n_neighbors": n_neighbors}
    adata.uns[key_added] = {
        "params": without_none({"labels_key": labels_key} | evidence),
        "n_reference": len(reference_rows),
        "n_labelled": int(found.sum()),
        "n_without": int((~found).sum()),
    }
    # Colours of an earlier answer go with it.
    adata.uns.pop(f"{key_added}_colors", None)
    if source is adata and f"{labels_key}_colors" in adata.uns:
        adata.uns[f"{key_added}_colors"] = adata.uns[f"{labels_key}_colors"]
    return adata if copy else None


def _select_spots(
    adata: AnnData,
    labels: pd.Series,
    reference: AnnData | str | Sequence[str] | None,
    query: str | Sequence[str] | None,
    slice_key: str | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the annotated reference spots, and of the query spots."""
    is_reference = labels.notna().to_numpy()
    is_query = None if query is None else _in_slices(adata, query, slice_key, "query")
    if isinstance(reference, AnnData):
        is_query = np.ones(adata.n_obs, dtype=bool) if is_query is None else is_query
    elif reference is None:
        is_reference = is_reference if is_query is None else is_reference & ~is_query
        is_query = ~is_reference if is_query is None else is_query
    else:
        in_reference = _in_slices(adata, reference, slice_key, "reference")
        is_reference, is_query = is_reference & in_reference, ~in_reference if is_query is None else is_query
        if (in_reference & is_query).any():
            raise ValueError("`reference` and `query` share a slice; name each slice in only one of them.")
    if not is_reference.any():
        raise ValueError("No spot of the reference is annotated; name annotated slices in `reference`.")
    if not is_query.any():
        raise ValueError("There is no spot to label; name the slices to label in `query`.")
    return np.flatnonzero(is_reference), np.flatnonzero(is_query)


def _in_slices(adata: AnnData, names: str | Sequence[str], slice_key: str | None, argument: str) -> np.ndarray:
    """Whether each spot is in one of these slices. ``(n_spots,)``."""
    slice_key = need_slice_key(adata, slice_key)
    slices = read_slices(adata, slice_key)
    names = checked_names(requested_slices(names), argument, slices.cat.categories, f"adata.obs[{slice_key!r}]")
    return slices.isin(names).to_numpy()


def _read_coupling(adata: AnnData, coupling: str, source: AnnData) -> sparse.csr_matrix:
    """Coupling of all spots. ``(n_spots, n_spots)``."""
    if source is not adata:
        raise ValueError("`coupling` is within one AnnData, but `reference` is another; omit one of them.")
    check_present(coupling, "coupling", adata.obsp, "adata.obsp")
    weights = sparse.csr_matrix(adata.obsp[coupling])
    if not np.isfinite(weights.data).all() or (weights.data < 0).any():
        raise ValueError(f"`adata.obsp[{coupling!r}]` has negative, missing or infinite weights; align again.")
    return weights


def _read_vectors(adata: AnnData, use_rep: str, source: AnnData) -> tuple[np.ndarray, np.ndarray]:
    """Representations of the spots of ``adata`` and of ``source``."""
    vectors = read_representation(adata, use_rep)
    if source is adata:
        return vectors, vectors
    source_vectors = read_representation(source, use_rep)
    if vectors.shape[1] != source_vectors.shape[1]:
        raise ValueError(
            f"`{use_rep}` has {vectors.shape[1]} columns, but {source_vectors.shape[1]} in the reference; compute both "
            "with the same model."
        )
    if use_rep == "X" or sparse.issparse(adata.obsm[use_rep]):
        raise ValueError(
            f"`use_rep` is {use_rep!r}, whose principal components differ between two AnnData; pass a dense "
            "representation that both share."
        )
    return vectors, source_vectors


def _neighbor_weights(query: np.ndarray, reference: np.ndarray, n_neighbors: int) -> sparse.csr_matrix:
    """Weight 1 for each of the most similar reference spots of a query spot. ``(n_query, n_reference)``."""
    # Between unit vectors, the smallest distance is the largest cosine similarity.
    search = NearestNeighbors(n_neighbors=min(n_neighbors, len(reference))).fit(unit_vectors(reference))
    directions = unit_vectors(query)
    return sparse.diags(directions.any(axis=1).astype(np.float64)) @ search.kneighbors_graph(directions)
