"""Table of the markers of domains."""

from collections.abc import Sequence

import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape.get._tables import filter_table, read_result


def markers(
    adata: AnnData,
    domain: str | Sequence[str] | None = None,
    *,
    key: str = "markers",
    max_p_adjusted: float | None = None,
    min_log2_fold_change: float | None = None,
    min_fraction: float | None = None,
) -> pd.DataFrame:
    """Return the markers of domains as a data frame.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.markers`.
    domain
        Domain, or several. If ``None``, all.
    key
        Key of the result in ``adata.uns``.
    max_p_adjusted
        Largest adjusted p value. If ``None``, all genes.
    min_log2_fold_change
        Smallest log2 fold change; 0 keeps the genes that are higher in the domain. If ``None``, all genes.
    min_fraction
        Smallest fraction of the domain's spots in which the gene was detected. If ``None``, all genes.

    Returns
    -------
    A copy of the table that :func:`spotscape.tl.markers` describes. ``attrs["notes"]`` has the notes on the p values.

    Raises
    ------
    KeyError
        If there is no such result, or a domain is not in it.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=300, n_genes=60, n_domains=4, seed=0)
    >>> sps.tl.markers(adata, "domain")
    >>> sps.get.markers(adata, "patch_1").shape
    (60, 11)
    """
    check_call(markers, locals())
    result = read_result(adata, key, "markers", ["domain", "gene", "score", "fraction_reference", "mean_reference"])
    minima = {"log2_fold_change": min_log2_fold_change, "fraction": min_fraction}
    return filter_table(result, domain, max_p_adjusted=max_p_adjusted, minima=minima)
