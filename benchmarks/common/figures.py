"""What all figures of the benchmarks have in common."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

GRID = "#EEEEEE"


def open_frame(axes: Axes, *sides: str) -> None:
    """Take away the upper and right side of the frame, and others."""
    axes.spines[["top", "right", *sides]].set_visible(False)


def save(figure: Figure, path: Path, dpi: int = 130) -> None:
    """Write a figure to a file and close it."""
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
