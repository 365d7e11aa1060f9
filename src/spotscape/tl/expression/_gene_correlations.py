"""Correlations between genes in counts, in counts that were held out and in denoised expression."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape._slices import find_slice_key, read_slices
from spotscape._uns import without_none
from spotscape.tl.expression._counts import Counts, read_counts
from spotscape.tl.expression._denoised import checked_genes, denoised_values, normalized_counts

# The reliability of a gene whose correlations have a standard error of 0.2 or less, in standard errors of its own.
_MIN_RELIABILITY = 5.0


def gene_correlations(
    adata: AnnData,
    genes: Sequence[str],
    *,
    denoised: str | pd.DataFrame | None = "denoised",
    held_out: str | None = None,
    layer: str | None = None,
    size_factor_key: str | None = None,
    slice_key: str | None = None,
    key_added: str = "gene_correlations",
    copy: bool = False,
) -> AnnData | None:
    r"""Correlate genes in the counts, in counts that were held out, and in denoised expression.

    Denoised expression correlates more strongly than counts. A part of that is noise that was removed; another part
    comes from the model, which derives all genes from the same few latent dimensions. Counts that were held out tell
    the two apart. Their noise is independent of that of the counts that the model has seen, so covariances *between*
    the two parts have no contribution of noise. With the counts per 10,000 :math:`x` of the counts that were seen and
    :math:`x'` of those held out, the noise-corrected correlation :cite:p:`Spearman1904` is

    .. math::

        r_{gh} = \frac{c_{gh}}{\sqrt{c_{gg} \, c_{hh}}}, \qquad
        c_{gh} = \tfrac12 \left[ \mathrm{cov}(x_g, x'_h) + \mathrm{cov}(x'_g, x_h) \right]

    It estimates the correlation of the expression of the spots, without the noise of counting and without a model.
    Denoised expression that correlates more strongly than this shows relations that the tissue does not have at the
    scale of a spot. All correlations are Pearson's, of values that are centred in each slice. No logarithm is taken: at
    low counts, its mean depends on the depth of the spot, which would correlate all genes.

    Parameters
    ----------
    adata
        Annotated data.
    genes
        Names of two or more genes.
    denoised
        Layer with the denoised expression in counts per 10,000, or a data frame of these genes, as
        ``model.get_normalized_expression(gene_list=genes, library_size=1e4)`` returns. ``None``: counts only.
    held_out
        Layer with counts that the model has not seen: ``"counts_held_out"`` after :func:`spotscape.pp.thin_counts`, if
        the model was set up with ``"counts_fit"``. If ``None``, only the correlations of counts and of denoised
        expression are computed, of which neither is the truth: the first are too weak, the second too strong.
    layer
        Layer with the counts that the model has seen. If ``None``, what ``adata`` was set up with for a model,
        otherwise ``"counts"``, otherwise ``adata.X``.
    size_factor_key
        Column of ``adata.obs`` with the total of each spot over all genes. If ``None``, the one of the set-up,
        otherwise the totals of each of the two parts.
    slice_key
        Column of ``adata.obs`` with the slices. If ``None``, the one with which the spatial graph was built, otherwise
        ``"slice"`` if there is such a column, otherwise all spots are one slice.
    key_added
        Key of the result in ``adata.uns``.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets ``adata.uns[key_added]`` with

    ``"table"``
        Data frame with one row per pair of genes: ``gene_1``, ``gene_2``, ``counts``, and, if given, ``held_out``,
        ``noise_corrected`` and ``denoised``. The noise-corrected correlation is limited to -1 to 1, and missing if the
        reliability of one of the genes is below :math:`5 / \sqrt n` for :math:`n` spots: with more noise, its standard
        error could exceed 0.2. The correlation of a gene without variance is missing.
    ``"genes"``
        Data frame with one row per gene: ``gene``, and, with ``held_out``, its ``reliability``: the correlation of its
        two parts, which is the share of the variance of either that is not noise.
    ``"params"``
        The parameters.

    Raises
    ------
    KeyError
        If a layer, a column or a gene does not exist.
    ValueError
        If there are fewer than two genes, values are not counts, denoised values are in another unit, or the held-out
        counts are a part of the counts that the model has seen.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=300, n_genes=40, n_domains=4, seed=0)
    >>> sps.pp.thin_counts(adata)
    >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts_fit")
    >>> model = sps.SPOTSCAPE(adata)
    >>> model.train(max_epochs=20)
    >>> genes = list(adata.var_names[:4])
    >>> denoised = model.get_normalized_expression(gene_list=genes, library_size=1e4)
    >>> sps.tl.gene_correlations(adata, genes, denoised=denoised, held_out="counts_held_out")
    >>> sps.get.gene_correlations(adata).columns.tolist()
    ['gene_1', 'gene_2', 'counts', 'held_out', 'noise_corrected', 'denoised']
    """
    check_call(gene_correlations, locals())
    names = checked_genes(adata, genes, minimum=2)
    slice_key = find_slice_key(adata, slice_key)
    slices = np.zeros(adata.n_obs) if slice_key is None else read_slices(adata, slice_key).cat.codes.to_numpy()
    counts = read_counts(adata, layer, size_factor_key, names)
    measured = normalized_counts(counts, names)
    seen = _centred(measured, slices)
    columns, about = {"counts": _correlations(seen.T @ seen)}, pd.DataFrame({"gene": names})
    if held_out is not None:
        hidden = read_counts(adata, held_out, size_factor_key, names)
        _check_held_out(hidden, counts)
        unseen = _centred(normalized_counts(hidden, names), slices)
        columns["held_out"] = _correlations(unseen.T @ unseen)
        columns["noise_corrected"], about["reliability"] = _noise_corrected(seen, unseen)
    if denoised is not None:
        values = _centred(denoised_values(adata, denoised, names, measured), slices)
        columns["denoised"] = _correlations(values.T @ values)
    first, second = np.triu_indices(len(names), 1)
    table = pd.DataFrame({"gene_1": np.array(names)[first], "gene_2": np.array(names)[second]})
    for name, matrix in columns.items():
        table[name] = matrix[first, second]
    adata = adata.copy() if copy else adata
    source = denoised if isinstance(denoised, str) else None
    params = {"layer": layer, "held_out": held_out, "denoised": source, "slice_key": slice_key}
    adata.uns[key_added] = {"table": table, "genes": about, "params": without_none(params)}
    return adata if copy else None


def _check_held_out(hidden: Counts, seen: Counts) -> None:
    """Raise ``ValueError`` if there are no counts, or if they are a part of the others."""
    if hidden.matrix.nnz == 0:
        raise ValueError(f"`held_out` names `adata.{hidden.source}`, which has no counts of these genes.")
    if (hidden.matrix - seen.matrix).max() <= 0:
        raise ValueError(
            f"The counts in `adata.{hidden.source}` are a part of those in `adata.{seen.source}`, so their noise is "
            "not independent; set the model up with the other part that `spotscape.pp.thin_counts` has made."
        )


def _centred(values: np.ndarray, slices: np.ndarray) -> np.ndarray:
    """Values minus their mean in each slice. ``(n_spots, n_genes)``."""
    centred = values.copy()
    for code in np.unique(slices):
        rows = slices == code
        centred[rows] -= centred[rows].mean(axis=0)
    # Differences by rounding are no variance.
    constant = np.ptp(centred, axis=0) <= 1e-12 * np.abs(values).max(axis=0, initial=0)
    centred[:, constant] = 0
    return centred


def _correlations(covariance: np.ndarray) -> np.ndarray:
    """Correlations, missing where a gene has no variance. ``(n_genes, n_genes)``."""
    size = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    return np.divide(covariance, size, out=np.full_like(covariance, np.nan), where=size > 0)


def _noise_corrected(seen: np.ndarray, unseen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlations from covariances between the two parts, and the reliability of each gene."""
    between = seen.T @ unseen
    signal = (between + between.T) / 2
    variance = np.diag(signal)
    size = np.sqrt((seen**2).sum(axis=0) * (unseen**2).sum(axis=0))
    reliability = np.divide(variance, size, out=np.full(len(size), np.nan), where=size > 0)
    reliable = np.nan_to_num(reliability) >= _MIN_RELIABILITY / np.sqrt(len(seen))
    scale = np.where(reliable, np.sqrt(np.maximum(variance, 0)), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        corrected = signal / np.outer(scale, scale)
    return np.clip(corrected, -1, 1), reliability
