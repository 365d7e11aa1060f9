"""Panels, legends and axes, and the showing, saving and returning of figures as in scanpy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.text import Text

from spotscape._validate import check_integer
from spotscape._write import whole_file

# Larger numbers of points are rasterised in vector files, which would otherwise take minutes to open.
N_POINTS_VECTOR = 3000


def panel_grid(
    n_panels: int, ncols: int, *, panel_size: tuple[float, float], right: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Make panels of ``panel_size`` inches, at most ``ncols`` per row, and ``right`` inches for a legend."""
    check_integer(ncols, "ncols", minimum=1)
    n_columns = min(ncols, n_panels)
    n_rows = -(-n_panels // n_columns)
    size = (n_columns * panel_size[0] + right, n_rows * panel_size[1])
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="constrained")
    for empty in axes.flat[n_panels:]:
        empty.remove()
    return figure, list(axes.flat[:n_panels])


def legend_rows(height: float) -> int:
    """Return the number of legend entries that fit into a height in inches."""
    return max(6, int(height / 0.2))


def legend_width(names: Sequence[str], n_rows: int = 16) -> float:
    """Return the width of the legend in inches."""
    return (0.45 + 0.085 * max(map(len, names), default=0)) * _legend_columns(names, n_rows) if len(names) else 0.0


def draw_legend(where: FigureBase | Axes, names: Sequence[str], colors: Sequence[str], n_rows: int = 16) -> None:
    """Draw a legend of round markers to the right of a figure or of one panel."""
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=7, color=color, label=name)
        for name, color in zip(names, colors, strict=True)
    ]
    place: dict[str, Any] = (
        {"loc": "outside right center"}
        if isinstance(where, FigureBase)
        else {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    )
    legend = where.legend(
        handles=handles,
        ncols=_legend_columns(names, n_rows),
        frameon=False,
        fontsize=9,
        handletextpad=0.2,
        columnspacing=0.8,
        alignment="left",
        **place,
    )
    legend.set_gid("categories")


def draw_color_bar(axes: list[Axes], mappable: ScalarMappable, label: str | None = None) -> None:
    """Draw one colour bar to the right of the panels."""
    figure = axes[0].figure
    # At most 2.6 inches, also beside many rows of panels.
    shrink = min(0.6, 2.6 * figure.dpi / figure.bbox.height)
    bar = figure.colorbar(mappable, ax=axes, shrink=shrink, aspect=18, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    if label is not None:
        bar.set_label(label, fontsize=9)


def hide_axes(axes: Axes) -> None:
    """Remove ticks and frame of axes whose unit has no meaning."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def style_axes(axes: Axes, xlabel: str, ylabel: str = "") -> None:
    """Label axes, and remove the upper and right frame."""
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, length=3)


def savefig_or_show(
    figure: Figure, axes: list[Axes], name: str, *, show: bool | None, save: bool | str | Path | None, return_fig: bool
) -> Figure | list[Axes] | None:
    """Save, show or return a figure as scanpy does.

    Parameters
    ----------
    figure, axes
        Figure and its panels.
    name
        Default name of the file.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless it is saved or returned.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to ``name``.
        A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.
    """
    from scanpy import settings

    # Names from the data may have dollar signs, between which matplotlib would read mathematics.
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    if save:
        path = _file_path(save, name, Path(settings.figdir), settings.file_format_figs)
        if not path.suffix:
            path = path.with_name(f"{path.name}.{plt.rcParams['savefig.format']}")
        with whole_file(path) as unfinished:
            figure.savefig(unfinished, dpi=300, bbox_inches="tight")
    if return_fig:
        plt.close(figure)
        return figure
    if show or (show is None and settings.autoshow and not save):
        plt.show()
        return None
    if show is False:
        return axes
    plt.close(figure)
    return None


def _file_path(save: Literal[True] | str | Path, name: str, folder: Path, file_format: str) -> Path:
    if save is True:
        return folder / f"{name}.{file_format}"
    if isinstance(save, Path) or Path(save).name != str(save):
        path = Path(save)
        return path if path.suffix else path.with_suffix(f".{file_format}")
    has_format = Path(f"x{save}").suffix in (".pdf", ".png", ".svg")
    return folder / (f"{name}{save}" if has_format else f"{name}{save}.{file_format}")


def _legend_columns(names: Sequence[str], n_rows: int) -> int:
    return max(1, -(-len(names) // n_rows))
