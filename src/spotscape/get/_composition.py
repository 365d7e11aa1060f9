"""Tables of composition."""

import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape.get._tables import read_result


def composition(adata: AnnData, *, key: str = "composition", tests: bool = False) -> pd.DataFrame:
    """Return the shares of categories in samples, or their tests, as a data frame.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.composition`.
    key
        Key of the result in ``adata.uns``.
    tests
        Return the tests between conditions instead of the shares.

    Returns
    -------
    A copy of the table that :func:`spotscape.tl.composition` describes.

    Raises
    ------
    KeyError
        If there is no such result, or nothing was tested.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, n_domains=4, seed=0)
    >>> sps.tl.composition(adata, "domain")
    >>> sps.get.composition(adata).columns.tolist()
    ['sample', 'category', 'n_spots', 'proportion']
    """
    check_call(composition, locals())
    result = read_result(adata, key, "composition", ["sample", "category", "proportion"])
    if tests and "tests" not in result:
        raise KeyError(f"`adata.uns[{key!r}]` has no tests; call `spotscape.tl.composition` with `condition`.")
    return result["tests" if tests else "table"].copy()
