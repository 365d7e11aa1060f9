"""Table of the enrichment of gene sets."""

from collections.abc import Sequence

import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape.get._tables import filter_table, read_result


def enrichment(
    adata: AnnData,
    domain: str | Sequence[str] | None = None,
    *,
    key: str = "enrichment",
    max_p_adjusted: float | None = None,
) -> pd.DataFrame:
    """Return the enrichment of gene sets as a data frame.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.enrichment`.
    domain
        Domain, or several. If ``None``, all.
    key
        Key of the result in ``adata.uns``.
    max_p_adjusted
        Largest adjusted p value. If ``None``, all sets.

    Returns
    -------
    A copy of the table that :func:`spotscape.tl.enrichment` describes.

    Raises
    ------
    KeyError
        If there is no such result, or a domain is not in it.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=60, seed=0)
    >>> sps.tl.enrichment(adata, {"first": adata.var_names[:10]}, genes=adata.var_names[:8])
    >>> sps.get.enrichment(adata)[["gene_set", "size", "overlap"]].values.tolist()
    [['first', 10, 8]]
    """
    check_call(enrichment, locals())
    result = read_result(adata, key, "enrichment", ["domain", "gene_set", "p_adjusted"])
    return filter_table(result, domain, max_p_adjusted=max_p_adjusted)
