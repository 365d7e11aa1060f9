"""Sections that lack some of the genes: features are replaced by their expected values, given the measured genes."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import linalg, sparse

# The encoder averages over neighbours, which mostly share their components; so it is the noise of such a mean that
# the components are held against. Without this, they shrink with every gene that is missing.
_SPOTS_TO_AVERAGE = 10
# Below this share of the selected genes, the accuracy of label transfer between cortex sections begins to fall.
_SHARE_TO_WARN = 1 / 3


def check_overlap(found: Sequence[str], selected: Sequence[str], n_components: int) -> None:
    """Check that enough genes of a model were measured.

    Parameters
    ----------
    found
        Genes of the new section.
    selected
        Genes that were selected when the model was trained.
    n_components
        Number of principal components of the model.

    Raises
    ------
    ValueError
        If the section has fewer selected genes than components.

    Warns
    -----
    UserWarning
        If the section has less than a third of the selected genes.
    """
    there = set(found)
    n_shared, n_selected = sum(gene in there for gene in selected), len(selected)
    if n_shared == 0 and there:
        raise ValueError(
            f"None of the {n_selected} genes that the model reads is in the data; name genes alike, the model has "
            f"{selected[0]!r} and the data {found[0]!r}."
        )
    if n_shared < n_components:
        raise ValueError(
            f"The data has {n_shared} of the {n_selected} genes that the model reads, too few for its {n_components} "
            "principal components; train a model on the genes in common."
        )
    if n_shared < _SHARE_TO_WARN * n_selected:
        warnings.warn(
            f"The data has only {n_shared} of the {n_selected} genes that the model reads; below a third of them, "
            "spots begin to be confused.",
            UserWarning,
            stacklevel=4,
        )


def restrict_to_measured(fitted: dict[str, Any], measured: np.ndarray, max_value: float) -> dict[str, Any]:
    r"""Change a fitted preprocessing so that it uses only the measured genes.

    The z-scores :math:`z` of the selected genes follow probabilistic principal components :cite:p:`Tipping1999`:
    independent components along the axes :math:`V`, with variances :math:`\lambda_k - \sigma^2`, and noise of variance
    :math:`\sigma^2` in each gene, the mean variance outside the axes. With :math:`o` for the measured genes, the
    expected scores :math:`V^\top z` are

    .. math::

        V_o^\top z_o + (I - V_o^\top V_o) M^{-1} V_o^\top z_o, \qquad
        M = V_o^\top V_o + \frac{\sigma^2}{n} \, \mathrm{diag}(\lambda_k - \sigma^2)^{-1}

    for :math:`n = 10` spots with the same components. The first term sets genes that were not measured to their mean,
    which shrinks the scores; the second compensates for it. With all genes it is zero.

    Parameters
    ----------
    fitted
        Result of :func:`~spotscape.preprocessing._preprocessor_fit.fit_expression`.
    measured
        Whether each gene was measured. ``(n_genes,)``.
    max_value
        Maximum z-score.

    Returns
    -------
    The same with another projection and offset, with the fraction of the library of the measured genes in training, and
    with the positions of the other genes among the selected genes.

    Raises
    ------
    ValueError
        If the preprocessing was saved by a release that did not store the required parameters.
    """
    if "strength" not in fitted:
        raise ValueError("The model was saved by an older release, which needs all genes; train it again.")
    selected, projection, strength = fitted["selected"], fitted["projection"], fitted["strength"]
    known = measured[selected]
    deviation = (fitted["ceiling"].astype(np.float64) - fitted["mean"][selected]) / max_value
    # Genes that never vary have no ceiling and no part in the axes.
    deviation[~np.isfinite(deviation)] = 0
    axes = projection * deviation[:, None]
    scale = 1 / np.linalg.norm(axes, axis=0)
    axes *= scale

    n_genes, n_components = axes.shape
    noise = max(np.count_nonzero(deviation) - strength.sum(), 0) / max(n_genes - n_components, 1)
    # No component is taken to be all noise, which would divide by zero.
    signal = np.maximum(strength - noise, 1e-3 * strength)
    overlap = axes[known].T @ axes[known]
    gain = overlap + np.diag(noise / (_SPOTS_TO_AVERAGE * signal))
    correction = np.eye(n_components) + linalg.lstsq(gain, np.eye(n_components) - overlap)[0]
    completed = np.zeros_like(projection)
    completed[known] = projection[known] * scale @ correction / scale
    return fitted | {
        "projection": completed,
        "offset": fitted["centre"] @ completed,
        "share_measured": float(fitted["share"][measured].sum()),
        "missing": np.flatnonzero(~known),
    }


def insert_expected(block: sparse.csr_matrix, scores: np.ndarray, fitted: dict[str, Any]) -> sparse.csr_matrix:
    """Replace the zeros of missing genes by their expected expression.

    Parameters
    ----------
    block
        Log expression of the selected genes. ``(n_spots, n_selected)``.
    scores
        Features of the spots from the restricted preprocessing. ``(n_spots, n_components)``.
    fitted
        Result of :func:`restrict_to_measured`.

    Returns
    -------
    Log expression, CSR. ``(n_spots, n_selected)``.
    """
    missing = fitted["missing"]
    genes = fitted["selected"][missing]
    expected = np.maximum(scores @ fitted["loadings"][:, genes] + fitted["mean"][genes].astype(np.float32), 0)
    known = np.delete(np.arange(block.shape[1]), missing)
    place = np.argsort(np.concatenate([known, missing]))
    return sparse.csr_matrix(sparse.hstack([block[:, known], sparse.csr_matrix(expected)], format="csr")[:, place])
