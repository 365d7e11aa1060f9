"""Agreement of labels that an alignment handed over with those of the slice that received them."""

import pandas as pd
from numpy.typing import ArrayLike

from spotscape.metrics._adjusted_rand_index import adjusted_rand_index


def label_transfer_adjusted_rand_index(labels_true: ArrayLike, labels_transferred: ArrayLike) -> float:
    r"""Compare labels transferred from a reference with the known ones of the query :cite:p:`Oh2025`.

    It is the adjusted Rand index of both at the annotated spots of the query (LTARI). Spots that received no label
    count as one further label: an alignment does not gain by leaving out the spots that are hard to match.

    Parameters
    ----------
    labels_true
        Known label of each spot of the query. Spots whose label is missing (``None``, ``NaN``, ``pandas.NA``) are left
        out. ``(n_spots,)``.
    labels_transferred
        Label that each spot received; missing where it received none. ``(n_spots,)``.

    Returns
    -------
    1 for the same partition, about 0 for a random one.

    Raises
    ------
    ValueError
        If the lengths differ, or no spot of the query is annotated.
    """
    codes = pd.factorize(pd.Series(labels_transferred, dtype=object))[0]
    return adjusted_rand_index(labels_true, codes)
