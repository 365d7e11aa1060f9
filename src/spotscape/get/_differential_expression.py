"""Table of differential expression."""

from collections.abc import Sequence

import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape._validate import check_number
from spotscape.get._tables import filter_table, read_result


def differential_expression(
    adata: AnnData,
    domain: str | Sequence[str] | None = None,
    *,
    key: str = "differential_expression",
    max_p_adjusted: float | None = None,
    min_log2_fold_change: float | None = None,
) -> pd.DataFrame:
    """Return differential expression as a data frame.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.differential_expression`.
    domain
        Domain, or several. If ``None``, all.
    key
        Key of the result in ``adata.uns``.
    max_p_adjusted
        Largest adjusted p value. If ``None``, all genes.
    min_log2_fold_change
        Smallest **absolute** log2 fold change. If ``None``, all genes.

    Returns
    -------
    A copy of the table that :func:`spotscape.tl.differential_expression` describes. ``attrs["notes"]`` has the notes
    on the p values.

    Raises
    ------
    KeyError
        If there is no such result, or a domain is not in it.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=3, n_spots=300, n_genes=60, n_domains=4, seed=0)
    >>> sps.tl.differential_expression(adata, replicate="slice", domain_key="domain", reference_domain="rest")
    >>> sps.get.differential_expression(adata, "patch_1").columns[:6].tolist()
    ['domain', 'group', 'reference', 'gene', 'log2_fold_change', 'standard_error']
    """
    check_call(differential_expression, locals())
    result = read_result(adata, key, "differential_expression", ["domain", "gene", "standard_error", "unit"])
    found = filter_table(result, domain, max_p_adjusted=max_p_adjusted)
    if min_log2_fold_change is None:
        return found
    check_number(min_log2_fold_change, "min_log2_fold_change", minimum=0.0)
    notes = found.attrs
    found = found[found["log2_fold_change"].abs() >= min_log2_fold_change].reset_index(drop=True)
    found.attrs = notes
    return found
