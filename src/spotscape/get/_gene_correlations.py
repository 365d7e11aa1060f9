"""Tables of correlations between genes."""

import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape.get._tables import read_result


def gene_correlations(adata: AnnData, *, key: str = "gene_correlations") -> pd.DataFrame:
    """Return the correlations between genes as a data frame.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.gene_correlations`.
    key
        Key of the result in ``adata.uns``.

    Returns
    -------
    A copy of the table that :func:`spotscape.tl.gene_correlations` describes, one row per pair of genes.

    Raises
    ------
    KeyError
        If there is no such result.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, n_domains=4, seed=0)
    >>> sps.tl.gene_correlations(adata, list(adata.var_names[:3]), denoised=None)
    >>> sps.get.gene_correlations(adata).shape
    (3, 3)
    """
    check_call(gene_correlations, locals())
    return read_result(adata, key, "gene_correlations", ["gene_1", "gene_2", "counts"])["table"].copy()
