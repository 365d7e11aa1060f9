"""Colours of categories that match those of an annotation."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib import colormaps
from matplotlib.colors import to_hex
from scipy.optimize import linear_sum_assignment

from spotscape._validate import check_present
from spotscape.pl._colors import PALETTE, Palette, as_categorical, category_colors


def palettes(
    adata: AnnData, keys: Sequence[str], numeric: Sequence[bool], palette: Palette, match_colors_to: str | None
) -> list[Palette]:
    """Return the palette of each colour; see :func:`spotscape.pl.spatial` for the arguments.

    Raises
    ------
    KeyError
        If there is no column ``match_colors_to``.
    ValueError
        If it has numbers, or none of the colours has categories.
    """
    own: list[Palette] = [None if is_number else palette for is_number in numeric]
    if match_colors_to is None:
        return own
    check_present(match_colors_to, "match_colors_to", adata.obs.columns, "adata.obs")
    if as_categorical(adata.obs[match_colors_to]) is None:
        raise ValueError(
            f"`match_colors_to` is {match_colors_to!r}, which contains numbers; pass a column of categories."
        )
    if all(numeric):
        raise ValueError(f"`match_colors_to` is {match_colors_to!r}, but no `color` has categories; omit it.")
    return [
        colors if is_number or key == match_colors_to else matched_colors(adata, key, match_colors_to, palette)
        for key, is_number, colors in zip(keys, numeric, own, strict=True)
    ]


def matched_colors(adata: AnnData, key: str, reference: str, palette: Palette = None) -> list[str]:
    r"""Give each category the colour of the category of another column that it overlaps most.

    With :math:`n_{ij}` spots in category :math:`i` of ``key`` and :math:`j` of ``reference``, the pairs maximise
    :math:`\sum n_{ij}`, each category being in at most one pair :cite:p:`Kuhn1955`. Categories without a partner get
    colours that no other has.

    Parameters
    ----------
    adata
        Annotated data.
    key, reference
        Columns of ``adata.obs``. Spots that miss one of them are ignored.
    palette
        Colours of the categories of ``reference``, as in :func:`spotscape.pl.spatial`.

    Returns
    -------
    One colour for each category of ``key``.
    """
    own, others = (cast(pd.Categorical, as_categorical(adata.obs[column])) for column in (key, reference))
    colors = category_colors(adata, reference, list(others.categories), palette)
    n_own, n_others = len(own.categories), len(others.categories)
    both = (own.codes >= 0) & (others.codes >= 0)
    pairs = own.codes[both].astype(np.int64) * n_others + others.codes[both]
    table = np.bincount(pairs, minlength=n_own * n_others).reshape(n_own, n_others)
    rows, columns = linear_sum_assignment(table, maximize=True)
    matched = {row: colors[column] for row, column in zip(rows, columns, strict=True) if table[row, column]}
    further = colormaps["turbo"](np.linspace(0, 1, 2 * (n_own + n_others)))
    spare = (color for color in map(to_hex, (*PALETTE, *further)) if color not in colors)
    return [matched[row] if row in matched else next(spare) for row in range(n_own)]
