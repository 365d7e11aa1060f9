"""Domains of a reference for the spots of new sections."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from spotscape._arguments import check_call
from spotscape._validate import check_name, shown
from spotscape.cluster._classifier import Classifier, MixtureClassifier, from_state
from spotscape.tl._domain_columns import as_categorical, merged_domains, store_domains
from spotscape.tl._domain_reference import DomainReference, levels_of
from spotscape.tl._label_propagation import propagate_labels, read_spatial_graph
from spotscape.tl._representation import read_representation

if TYPE_CHECKING:
    from spotscape.model import LatentModel

_KEY = "spatial_domain"


def predict_domains(
    adata: AnnData,
    reference: "AnnData | Mapping[str, Any] | LatentModel",
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
        AnnData with the result of :func:`domains` (mixture or k-means); or its entry ``uns["spatial_domain"]`` alone;
        or a model with domains that :meth:`spotscape.SPOTSCAPE.keep_domains` has kept, such as one that was saved and
        loaded.
    use_rep
        Key of the representation in ``adata.obsm``. If ``None``, that of the reference.
    reference_key
        Key of the domains in the reference. If ``None``, ``key_added``. Only if the reference is an AnnData.
    key_added
        Key of the result in ``adata.obs`` and of the parameters in ``adata.uns``.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obs[key_added]``
        Categorical with the categories of the reference, also those that no spot has. Renamed categories keep their new
        names. An entry of ``uns`` has no names: the categories are ``"1"`` to ``"K"``.
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
        If ``reference`` is neither an AnnData, nor a dictionary, nor a model.
    ValueError
        If the domains of the reference cannot be applied to new spots, were changed after they were found, or are of a
        representation with another number of columns; or if the model keeps no domains.

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
    known = _read_reference(reference, reference_key, key_added)
    fitted = known.fitted
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
        key_added: as_categorical(codes, known.names[""]),
        f"{key_added}_confidence": confidences[np.arange(len(codes)), codes],
    }
    for level, merged in zip(levels_of(fitted), np.asarray(fitted.get("merged", []), dtype=int), strict=True):
        coarse, confidence = merged_domains(codes, confidences, merged)
        name = f"{key_added}_{level}"
        columns |= {name: as_categorical(coarse, known.names[f"_{level}"]), f"{name}_confidence": confidence}

    target = adata.copy() if copy else adata
    store_domains(target, key_added, columns, result)
    for end in known.names:
        # Colours of earlier domains with the same number of categories would belong to other domains.
        target.uns.pop(f"{key_added}{end}_colors", None)
        if end in known.colors:
            target.uns[f"{key_added}{end}_colors"] = known.colors[end]
    return target if copy else None


def _read_reference(reference: Any, reference_key: str | None, key_added: str) -> DomainReference:
    """Domains of the reference, whose fitted clustering can be applied."""
    if isinstance(reference, AnnData):
        key, argument = (key_added, "key_added") if reference_key is None else (reference_key, "reference_key")
        return DomainReference.of_data(reference, key, "reference", argument)
    is_model = hasattr(reference, "keep_domains")
    if not is_model and not isinstance(reference, Mapping):
        raise TypeError(
            f"`reference` is {shown(reference)}; pass an AnnData with domains, its entry of `uns`, or a model that "
            "keeps domains."
        )
    if reference_key is not None:
        raise ValueError(
            f"`reference_key` is {reference_key!r}, but `reference` is "
            f"{'a model, which keeps the domains of one key' if is_model else 'the entry of one key already'}; omit it."
        )
    if not is_model:
        return DomainReference.of_entry(reference, "reference")
    if reference.domains_ is None:
        raise ValueError(
            "The model keeps no domains; call `keep_domains` of the model on its own data before it is saved, or pass "
            "the data with the domains as `reference`."
        )
    return DomainReference.from_state(reference.domains_)


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
