"""Novelty of slices."""

import warnings

import numpy as np
import pandas as pd

#: A spot is novel if it is farther out than this share of the training spots.
_NOVEL = 0.99
#: A slice is out of distribution if more than this share of its spots are novel.
_MAX_SHARE_NOVEL = 0.5


def slice_novelty(scores: np.ndarray, slices: np.ndarray) -> pd.DataFrame:
    """Number of spots, fraction of novel spots, and whether that is too large, for each slice.

    Parameters
    ----------
    scores
        Novelty of each spot, from 0 to 1. ``(n_spots,)``.
    slices
        Name of the slice of each spot. ``(n_spots,)``.

    Returns
    -------
    Data frame, see :meth:`spotscape.model.LatentModel.get_slice_novelty`.
    """
    is_novel = pd.Series(scores >= _NOVEL).groupby(slices)
    table = pd.DataFrame({"n_spots": is_novel.size(), "share_novel": is_novel.mean()}).rename_axis("slice")
    return table.assign(out_of_distribution=table["share_novel"] > _MAX_SHARE_NOVEL)


def warn_of_novel_slices(table: pd.DataFrame, size_factor_key: str | None = None) -> None:
    """Warn if a slice is out of distribution; other size factors, if they are given, are named as a possible cause."""
    out = table[table["out_of_distribution"]]
    if len(out):
        warnings.warn(
            f"{len(out)} of {len(table)} slice(s) are unlike those that the model was trained on: in {out.index[0]!r}, "
            f"{out['share_novel'].iloc[0]:.0%} of the spots are farther out than 99% of the training spots; do not "
            "trust their representation, and see `get_novelty` for each spot."
            + (
                ""
                if size_factor_key is None
                else f" Check too that `obs[{size_factor_key!r}]` means the same as in the training data: where a "
                "section has a part of the genes only, their sum is not the total over all genes."
            ),
            UserWarning,
            stacklevel=4,
        )
