"""Enrichment of pairs of domains among spatial neighbours, as a heat map."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape._validate import check_choice, check_flag, check_integer, check_positive
from spotscape.pl._colors import UNANNOTATED
from spotscape.pl._figure import draw_color_bar, panel_grid, savefig_or_show

_LABELS = {"ratio": "log2 (count / expected)", "zscore": "z-score"}


def neighborhood(
    adata: AnnData,
    key: str = "spatial_domain_neighborhood",
    *,
    value: str = "ratio",
    per_slice: bool = False,
    vmax: float | None = None,
    ncols: int = 4,
    cmap: str = "RdBu_r",
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw how often domains are neighbours, compared with chance, as a heat map.

    Red pairs are neighbours more often than by chance, blue ones less often. Pairs without a value are grey.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.neighborhood_enrichment`.
    key
        Key of the result in ``adata.uns``.
    value
        ``"ratio"``, the logarithm to base 2 of the count over the expected count, which does not grow with the number
        of spots; pairs that are never neighbours have the lowest value of the colour map. Or ``"zscore"``.
    per_slice
        Draw one panel for each slice instead of all slices together.
    vmax
        Largest absolute value of the colour map. If ``None``, the largest finite one that is drawn.
    ncols
        Maximum number of panels per row.
    cmap
        Colour map, whose middle is 0.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"neighborhood"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If ``key`` does not exist or is not such a result.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=100, n_genes=40, n_domains=3, seed=0)
    >>> sps.pp.spatial_neighbors(adata, slice_key="slice")
    >>> sps.tl.neighborhood_enrichment(adata, "domain", n_permutations=50)
    >>> panels = sps.pl.neighborhood(adata, "domain_neighborhood", per_slice=True, show=False)
    >>> [panel.get_title() for panel in panels]
    ['slice_1', 'slice_2']
    """
    check_call(neighborhood, locals())
    result = adata.uns.get(key)
    if not isinstance(result, Mapping) or not {"zscore", "table", "expected"} <= set(result):
        raise KeyError(
            f"`key` is {key!r}, which is not such a result in `adata.uns`; call "
            "`spotscape.tl.neighborhood_enrichment` first."
        )
    check_choice(value, tuple(_LABELS), "value")
    check_flag(per_slice, "per_slice")
    check_integer(ncols, "ncols", minimum=1)
    check_choice(cmap, tuple(colormaps), "cmap")
    if vmax is not None:
        check_positive(vmax, "vmax")
    names = [str(name) for name in result["domains"]]
    matrices = _matrices(result, names, value, per_slice)
    finite = np.abs(np.concatenate([matrix[np.isfinite(matrix)] for matrix in matrices.values()]))
    limit = vmax if vmax is not None else float(finite.max(initial=0)) or 1.0
    norm, colors = Normalize(-limit, limit), colormaps[cmap].with_extremes(bad=UNANNOTATED)

    side = 1.2 + 0.28 * len(names) + 0.05 * max(map(len, names))
    figure, axes = panel_grid(len(matrices), ncols, panel_size=(side, side), right=0.9)
    for panel, (title, matrix) in zip(axes, matrices.items(), strict=True):
        # Minus infinity, for pairs that are never neighbours, is a value; a missing one is not.
        shown = np.ma.masked_invalid(np.clip(matrix, -limit, limit))
        panel.imshow(shown, cmap=colors, norm=norm)
        panel.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
        panel.set_yticks(range(len(names)), names, fontsize=8)
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
        panel.set_xlabel("neighbour", fontsize=9)
        panel.set_ylabel("domain", fontsize=9)
        panel.set_title(title, fontsize=11)
    draw_color_bar(axes, ScalarMappable(norm, colors), _LABELS[value])
    return savefig_or_show(figure, axes, "neighborhood", show=show, save=save, return_fig=return_fig)


def _matrices(result: Mapping, names: list[str], value: str, per_slice: bool) -> dict[str, np.ndarray]:
    """Matrix of the values of each panel, by its title. ``(n_domains, n_domains)`` each."""
    if not per_slice:
        return {"": _values(result["count"], result["expected"], result["zscore"], value)}
    found = {}
    for name, rows in result["table"].groupby("slice", sort=False):
        count, expected, zscore = (
            rows.pivot(index="domain", columns="neighbor", values=column).reindex(index=names, columns=names).to_numpy()
            for column in ("count", "expected", "zscore")
        )
        found[str(name)] = _values(count, expected, zscore, value)
    return found


def _values(count: np.ndarray, expected: np.ndarray, zscore: np.ndarray, value: str) -> np.ndarray:
    if value == "zscore":
        return np.asarray(zscore, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log2(np.asarray(count, dtype=np.float64) / np.asarray(expected, dtype=np.float64))
