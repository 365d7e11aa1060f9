"""Denoised expression, checked to be on the scale of normalised counts."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._validate import check_present, checked_names
from spotscape.tl.expression._counts import Counts

#: Library size to which both counts and denoised values are normalised.
LIBRARY_SIZE = 1e4
# Denoised values reproduce the total of each gene, so their mean differs by such a factor only in another unit.
_LARGEST_RATIO = 4.0


def checked_genes(adata: AnnData, genes: str | Iterable[str], minimum: int = 1) -> list[str]:
    """Return the names of distinct genes, of which there must be a ``minimum``."""
    names = list(dict.fromkeys(checked_names(genes, "genes", adata.var_names, "adata.var_names")))
    if len(names) < minimum:
        raise ValueError(f"`genes` has {len(names)} distinct gene(s); pass at least {minimum}.")
    return names


def normalized_counts(counts: Counts, genes: Sequence[str]) -> np.ndarray:
    """Counts per 10,000 of some genes, 0 in spots without counts. ``(n_spots, len(genes))``."""
    columns = [counts.genes.get_loc(gene) for gene in genes]
    scale = np.divide(
        LIBRARY_SIZE, counts.size_factors, out=np.zeros(len(counts.size_factors)), where=counts.size_factors > 0
    )
    return np.asarray(counts.matrix[:, columns].toarray() * scale[:, None])


def denoised_values(
    adata: AnnData, denoised: str | pd.DataFrame, genes: Sequence[str], measured: np.ndarray, argument: str = "denoised"
) -> np.ndarray:
    """Denoised expression in counts per 10,000.

    Parameters
    ----------
    adata
        Annotated data.
    denoised
        Layer, or data frame with the spots of ``adata`` and at least these genes.
    genes
        Names of the genes.
    measured
        Counts per 10,000 of these genes, for a check of the unit. ``(n_spots, len(genes))``.

    Returns
    -------
    Values. ``(n_spots, len(genes))``.

    Raises
    ------
    KeyError
        If the layer or a gene is missing.
    ValueError
        If spots are missing, or the values are in another unit than counts per 10,000.
    """
    if isinstance(denoised, pd.DataFrame):
        name = argument
        for gene in genes:
            check_present(gene, "genes", denoised.columns, f"{argument}.columns")
        if not denoised.index.equals(adata.obs_names):
            raise ValueError(
                f"The {len(denoised)} rows of `{argument}` are not the {adata.n_obs} spots of `adata` in their order; "
                "pass the result of `model.get_normalized_expression` for all spots."
            )
        values = denoised[list(genes)].to_numpy(dtype=np.float64)
    else:
        name = f"adata.layers[{denoised!r}]"
        check_present(denoised, argument, adata.layers.keys(), "adata.layers")
        block = adata.layers[denoised][:, [adata.var_names.get_loc(gene) for gene in genes]]
        values = (block.toarray() if sparse.issparse(block) else np.asarray(block)).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"`{name}` has missing or infinite values; pass the values of a model.")
    found, expected = float(values.mean()), float(measured.mean())
    if expected == 0:
        raise ValueError(f"There are no counts of {', '.join(genes)}; name genes with counts in `genes`.")
    if values.min() < 0 or not expected / _LARGEST_RATIO <= found <= expected * _LARGEST_RATIO:
        raise ValueError(
            f"`{name}` has a mean of {found:.3g} and a minimum of {values.min():.3g}, but the counts of these genes "
            f"have a mean of {expected:.3g} per 10,000; pass `model.get_normalized_expression(library_size=1e4)` of a "
            "model that was trained on these counts."
        )
    return values
