"""Domains of a reference for the spots of new sections."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._arguments import check_call
from spotscape._validate import check_name, check_present, shown
from spotscape.cluster._classifier import Classifier, MixtureClassifier, from_state
from spotscape.tl._domain_columns import as_categorical, merged_domains, store_domains
from spotscape.tl._label_propagation import propagate_labels, read_spatial_graph
from spotscape.tl._representation import read_representation

_KEY = "spatial_domain"


def predict_domains(
    adata: AnnData,
    reference: AnnData | Mapping[str, Any],
    *,
    use_rep: str | None = None,
    reference_key: str | None = None,
    key_added: str = _KEY,
    copy: bool = False,
) -> AnnData | None:
    r"""Assign the spots of a new section to the domains of a reference.

    The clustering that :func:`domains` fitted to the reference is applied to the representation of the new section, so
    that domain 4 of the new section is domain 4 of the reference. Clustering the new section on its own would number,
    and draw, other domains. The domain of a spot does not depend on the other spots of the new section (unless the
    domains of the reference are smoothed): for the mixture,

    .. math:: k(z) = \arg\max_k \; \log \pi_k + z^\top \Sigma^{-1} \mu_k
        - \tfrac{1}{2} \mu_k^\top \Sigma^{-1} \mu_k

    and for k-means the domain of the nearest centroid. Domains that the reference lacks cannot be found: each spot gets
    one of the known domains. Check with :meth:`spotscape.SPOTSCAPE.get_novelty` whether the section resembles the
    training data.

    Parameters
    ----------
    adata
        New section, with a representation from the model of the reference in ``adata.obsm``. ``n_spots`` spots.
    reference
        AnnData with the result of :func:`domains` (mixture or k-means), or its entry ``uns["spatial_domain"]``, which
        is small enough to be kept beside a saved model.
    use_rep
        Key of the representation in ``adata.obsm``. If ``None``, that of the reference.
    reference_key
        Key of the domains in the reference. If ``None``, ``key_added``. Only for an AnnData.
    key_added
        Key of the result in ``adata.obs`` and of the parameters in ``adata.uns``.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obs[key_added]``
        Categorical with the categories of the reference, also those that no spot has. Renamed categories keep their new
        names. A dictionary has no names: the categories are ``"1"`` to ``"K"``.
    ``.obs[f"{key_added}_confidence"]``
        Confidence in the domain, from 0 to 1, computed as in :func:`domains` with the clustering of the reference. The
        user guide, :doc:`/user_guide/new_sections`, compares it with annotations.
    ``.obs[f"{key_added}_{n}"]`` and ``.obs[f"{key_added}_{n}_confidence"]``
        If the reference has several levels: the same for each of them.
    ``.uns[key_added]``
        The parameters of the clustering, the number of domains, the number of spots in each, and the clustering.
    ``.uns[f"{key_added}_colors"]``
        Colours of the reference, if it has any, also those of the levels.

    Raises
    ------
    KeyError
        If the reference has no domains, or the representation or the spatial graph that smoothing needs is missing.
    TypeError
        If ``reference`` is neither an AnnData nor a dictionary.
    ValueError
        If the domains of the reference cannot be applied to new spots, were changed after they were found, or are of a
        representation with another number of columns.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, seed=0)
    >>> adata.obsm["Z"] = np.log1p(adata.layers["counts"].toarray())
    >>> is_new = (adata.obs["slice"] == "slice_2").to_numpy()
    >>> known, new = adata[~is_new].copy(), adata[is_new].copy()
    >>> sps.tl.domains(known, "Z", n_domains=4, n_init=10)
    >>> sps.tl.predict_domains(new, known)
    >>> new.obs["spatial_domain"].cat.categories.tolist()
    ['1', '2', '3', '4']
    """
    check_call(predict_domains, locals())
    check_name(key_added, "key_added", "a column of `adata.obs`")
    key, fitted = _read_reference(reference, reference_key, key_added)
    classifier = from_state(fitted["classifier"])
    use_rep = str(fitted["use_rep"]) if use_rep is None else use_rep
    values = _read_values(adata, use_rep, classifier)
    n_domains, smoothing = int(fitted["n_domains"]), float(fitted["smoothing"])
    graph = read_spatial_graph(adata) if smoothing > 0 else None

    affinities, confidences = classifier.predict(values)
    if graph is not None:
        affinities, confidences = (propagate_labels(one, graph, smoothing) for one in (affinities, confidences))
    # The last columns are domains that no spot of the reference has.
    codes, confidences = affinities[:, :n_domains].argmax(axis=1), confidences[:, :n_domains]
    result = {name: value for name, value in fitted.items() if name != "alternatives"}
    result |= {"use_rep": use_rep, "sizes": np.bincount(codes, minlength=n_domains)}

    columns: dict[str, Any] = {
        key_added: as_categorical(codes, _names(reference, key, n_domains)),
        f"{key_added}_confidence": confidences[np.arange(len(codes)), codes],
    }
    colors = {key_added: _colors(reference, key)}
    levels = np.asarray(fitted.get("levels", []), dtype=int).tolist()
    for level, merged in zip(levels, np.asarray(fitted.get("merged", []), dtype=int), strict=True):
        coarse, confidence = merged_domains(codes, confidences, merged)
        name, known = f"{key_added}_{level}", f"{key}_{level}"
        columns |= {name: as_categorical(coarse, _names(reference, known, level)), f"{name}_confidence": confidence}
        colors[name] = _colors(reference, known)

    target = adata.copy() if copy else adata
    store_domains(target, key_added, columns, result)
    for name, values_of in colors.items():
        # Colours of earlier domains with the same number of categories would belong to other domains.
        target.uns.pop(f"{name}_colors", None)
        if values_of is not None:
            target.uns[f"{name}_colors"] = values_of
    return target if copy else None


def _read_reference(
    reference: AnnData | Mapping[str, Any], reference_key: str | None, key_added: str
) -> tuple[str, Mapping[str, Any]]:
    """Key and parameters of the domains of the reference, which must have a fitted clustering."""
    key = key_added if reference_key is None else reference_key
    if isinstance(reference, AnnData):
        check_present(key, "key_added" if reference_key is None else "reference_key", reference.uns, "reference.uns")
        fitted, where = reference.uns[key], f"reference.uns[{key!r}]"
    elif isinstance(reference, Mapping):
        if reference_key is not None:
            raise ValueError(
                f"`reference_key` is {reference_key!r}, but `reference` is the entry of one key already; omit it."
            )
        fitted, where = reference, "reference"
    else:
        raise TypeError(f"`reference` is {shown(reference)}; pass an AnnData with domains, or its entry of `uns`.")
    if not isinstance(fitted, Mapping) or not {"method", "use_rep", "n_domains", "smoothing"} <= set(fitted):
        raise ValueError(
            f"`{where}` is {shown(fitted)}, not a result of `spotscape.tl.domains`; call it on the reference first."
        )
    if fitted["method"] == "leiden":
        raise ValueError(
            f"`{where}` was found with method 'leiden', whose communities are not defined for new spots; call "
            "`spotscape.tl.domains` with the mixture or k-means, or transfer the domains with "
            "`spotscape.tl.transfer_labels`."
        )
    if "classifier" not in fitted:
        raise ValueError(
            f"`{where}` has no 'classifier', the fitted clustering that earlier releases did not keep; call "
            "`spotscape.tl.domains` again."
        )
    return key, fitted


def _read_values(adata: AnnData, use_rep: str, classifier: Classifier) -> np.ndarray:
    values = read_representation(adata, use_rep)
    if use_rep == "X" or sparse.issparse(adata.obsm[use_rep]):
        raise ValueError(
            f"`use_rep` is {use_rep!r}, whose principal components differ between two AnnData; find the domains of the "
            "reference in a dense representation that both share."
        )
    known = classifier.mean if isinstance(classifier, MixtureClassifier) else classifier.centroids[0]
    if values.shape[1] != len(known):
        raise ValueError(
            f"`{use_rep}` has {values.shape[1]} columns, but {len(known)} in the reference; compute both with the same "
            "model."
        )
    return values


def _names(reference: AnnData | Mapping[str, Any], column: str, n_domains: int) -> list[str]:
    """Names of the domains: the categories of the reference, or the numbers from 1."""
    if not isinstance(reference, AnnData):
        return [str(number + 1) for number in range(n_domains)]
    check_present(column, "reference_key", reference.obs.columns, "reference.obs")
    domains = reference.obs[column]
    changed = f"`reference.obs[{column!r}]` was changed after `spotscape.tl.domains` found these domains"
    if not isinstance(domains.dtype, pd.CategoricalDtype) or len(domains.cat.categories) != n_domains:
        raise ValueError(f"{changed}: it has no {n_domains} categories; call `spotscape.tl.domains` again.")
    sizes = np.asarray(reference.uns.get(column, {}).get("sizes", []))
    # In a part of the reference the sizes differ, so that only the whole can be checked.
    if sizes.sum() == reference.n_obs and (domains.value_counts(sort=False).to_numpy() != sizes).any():
        raise ValueError(
            f"{changed}: its categories have other sizes; keep their order when you rename them, or call "
            "`spotscape.tl.domains` again."
        )
    return domains.cat.categories.tolist()


def _colors(reference: AnnData | Mapping[str, Any], column: str) -> Any:
    return reference.uns.get(f"{column}_colors") if isinstance(reference, AnnData) else None
