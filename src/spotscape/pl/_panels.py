"""Arrangement of maps: slices in a grid, and one group of panels for each colour."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from spotscape.pl._coloring import Coloring
from spotscape.pl._figure import legend_rows, legend_width, panel_grid

#: Letters of a title that fit into an inch.
_LETTERS_PER_INCH = 12
#: Width of a colour bar in inches.
_BAR = 0.9
#: Height of a title in inches.
_TITLE = 0.3


class PanelGroup(NamedTuple):
    """Panels of one colour."""

    where: Any
    """Figure, part of a figure, or panel that has the legend."""
    panels: list[Axes]
    """One panel per slice."""
    n_legend_rows: int
    """Number of legend entries in a column."""
    title_length: int
    """Number of letters of a title in a line."""


def panel_groups(
    colorings: Sequence[Coloring], n_slices: int, ncols: int, shape: float, *, legend: bool
) -> list[PanelGroup]:
    """Make the panels of each colour.

    Parameters
    ----------
    colorings
        Colours, of which the legends get space.
    n_slices
        Number of slices.
    ncols
        Maximum number of panels per row. With several colours and slices, each colour starts a row.
    shape
        Ratio of height to width of a map.
    legend
        Whether there are legends.

    Returns
    -------
    One group of panels for each colour.
    """
    n_panels = n_slices * len(colorings)
    width = 4.6 if n_panels == 1 else 3.2
    height = width * shape + _TITLE
    length = max(12, int(width * _LETTERS_PER_INCH))
    if n_slices == 1 and len(colorings) > 1:
        n_rows = legend_rows(height)
        widths = [_width(coloring, n_rows) if legend else 0.0 for coloring in colorings]
        right = sum(max(widths[column::ncols]) for column in range(min(ncols, n_panels)))
        _, axes = panel_grid(n_panels, ncols, panel_size=(width, height), right=right)
        return [PanelGroup(panel, [panel], n_rows, length) for panel in axes]
    n_lines = -(-n_slices // ncols)
    n_rows = legend_rows(height * n_lines)
    right = max(_width(coloring, n_rows) for coloring in colorings) if legend else 0.0
    if len(colorings) == 1:
        figure, axes = panel_grid(n_slices, ncols, panel_size=(width, height), right=right)
        return [PanelGroup(figure, axes, n_rows, length)]
    n_columns = min(ncols, n_slices)
    size = (n_columns * width + right, len(colorings) * (n_lines * height + _TITLE))
    parts = plt.figure(figsize=size, layout="constrained").subfigures(len(colorings), 1, squeeze=False)[:, 0]
    groups = []
    for part in parts:
        axes = part.subplots(n_lines, n_columns, squeeze=False)
        for empty in axes.flat[n_slices:]:
            empty.remove()
        groups.append(PanelGroup(part, list(axes.flat[:n_slices]), n_rows, length))
    return groups


def panel_titles(title: str | Sequence[str] | None, names: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Title of each panel: those given, or the name of the slice, or the colour if there is one slice.

    Raises
    ------
    ValueError
        If the number of titles is not that of the panels.
    """
    n_panels = max(1, len(names)) * len(labels)
    if title is None or isinstance(title, str):
        if n_panels == 1:
            return [labels[0] if title is None else title]
        return list(names) * len(labels) if len(names) > 1 else list(labels)
    if len(title) != n_panels:
        raise ValueError(f"`title` has {len(title)} entries for {n_panels} panels; pass one per panel, or one string.")
    return list(title)


def _width(coloring: Coloring, n_rows: int) -> float:
    return _BAR if coloring.mappable is not None else legend_width(coloring.names, n_rows)
