"""Static figures of a report, as PNG."""

import io
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from PIL import Image

from spotscape import pl, tl
from spotscape._report._tissue import Tissue
from spotscape.preprocessing._subsample import evenly_spaced_rows

#: Spots in a static map. More take long to draw, and are smaller than a pixel; fewer leave gaps in a lattice.
_SPOTS_IN_MAP = 1_000_000
#: UMAP of more spots takes minutes.
_SPOTS_IN_UMAP = 4000
_DPI = 130
_MAX_SLICES_BY_COLOR = 24


class Picture(NamedTuple):
    """A figure as a PNG file, and its description for readers who cannot see it."""

    png: bytes
    alt: str


def draw_pictures(tissue: Tissue, model: Any, mixed: tuple[np.ndarray, ...] | None) -> dict[str, Picture]:
    """Draw the figures for which there are data, by their names.

    Parameters
    ----------
    tissue
        Sections with domains.
    model
        Trained model, or ``None``.
    mixed
        Rows, features before, and representation after the correction of slices; or ``None``.

    Returns
    -------
    Figures ``"domains"``, ``"confidence"``, ``"embedding"``, ``"history"``, ``"n_domains"``, ``"mixing_before"``,
    ``"mixing_after"``, ``"composition"`` and ``"markers"``.
    """
    n_spots = tissue.adata.n_obs
    # At random, since evenly spaced rows of a grid are stripes.
    some = np.random.default_rng(0).choice(n_spots, _SPOTS_IN_MAP, replace=False) if n_spots > _SPOTS_IN_MAP else None
    in_map = tissue.light(some)
    names = ", ".join(tissue.slice_names[:6]) + (", and others" if tissue.n_slices > 6 else "")
    drawn = {"domains": _picture(lambda: _map(in_map, "domain"), f"Map of the spatial domains in {names}.")}
    if tissue.confidence is not None and np.isfinite(tissue.confidence).any():
        drawn["confidence"] = _picture(
            lambda: _map(in_map, "confidence", vmin=0.0, vmax=1.0),
            f"Map of the confidence in the domains in {names}.",
            flat=False,
        )
    if tissue.use_rep is not None and n_spots >= 3 and tissue.adata.obsm[tissue.use_rep].shape[1] > 1:
        # More spots take longer to draw than the model to train, and the picture is no clearer.
        shown = tissue.light(evenly_spaced_rows(n_spots, _SPOTS_IN_UMAP))
        colors = ["domain"] + (["slice"] if tissue.n_slices > 1 else [])
        drawn["embedding"] = _picture(
            partial(pl.embedding, shown, "representation", color=colors, return_fig=True),
            "Representation of the spots in two dimensions, coloured by domain and slice.",
        )
    if getattr(model, "history", None):
        start = start_of_last_phase(model.history)
        try:
            drawn["history"] = _picture(
                lambda: pl.history(model, mark=start, return_fig=True), "Training curves, one panel for each loss."
            )
        except ValueError:
            # One epoch is no curve.
            plt.close("all")
    if "n_domains" in tissue.adata.uns and "splits" in tissue.adata.uns["n_domains"]:
        drawn["n_domains"] = _picture(
            lambda: pl.n_domains(tissue.adata, return_fig=True),
            "Reproducibility of each number of domains; the chosen number is marked.",
        )
    if mixed is not None:
        drawn |= _mixing_pictures(tissue, *mixed)
    return drawn | _expression_pictures(tissue)


def start_of_last_phase(history: Any) -> int | None:
    """First epoch with a loss that was zero before: that of prototypes or of clusters. ``None``: there is none."""
    for key, table in history.items():
        if "prototype" in key or "cluster" in key:
            used = np.flatnonzero(table.iloc[:, 0].to_numpy(dtype=float) != 0)
            if len(used) and used[0] > 0:
                return int(table.index[used[0]])
    return None


def _map(shown: AnnData, color: str, vmin: float | None = None, vmax: float | None = None) -> Any:
    # Wider figures are scaled down in the page, and their text with them.
    return pl.spatial(shown, color, slice_key="slice", ncols=3, vmin=vmin, vmax=vmax, return_fig=True)


def _mixing_pictures(tissue: Tissue, rows: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, Picture]:
    if tissue.n_slices > _MAX_SLICES_BY_COLOR:
        return {}
    shown = tissue.light(rows)
    shown.obsm["before"], shown.obsm["after"] = before, after
    drawn = {}
    for name in ("before", "after"):
        drawn[f"mixing_{name}"] = _picture(
            partial(pl.embedding, shown, name, color="slice", method="pca", return_fig=True),
            f"First two principal components {name} the correction of slices, coloured by slice.",
        )
    return drawn


def _expression_pictures(tissue: Tissue) -> dict[str, Picture]:
    """Composition and, if the data have them, markers."""
    drawn = {}
    if tissue.n_slices > 1:
        light = tissue.light()
        tl.composition(light, "domain", "slice")
        drawn["composition"] = _picture(
            partial(pl.composition, light, return_fig=True), "Share of each domain in each slice, as stacked bars."
        )
    result = tissue.adata.uns.get("markers")
    if result and result.get("params", {}).get("domain_key") == tissue.domain_key:
        # Drawn from the counts, with the colours of the reader's data untouched.
        try:
            drawn["markers"] = _picture(
                partial(pl.markers, tissue.adata, n_genes=3, return_fig=True),
                "Dot plot of the top markers of each domain.",
            )
        except ValueError:
            plt.close("all")
    return drawn


def _picture(draw: Callable[[], Any], alt: str, *, flat: bool = True) -> Picture:
    # In one process, libraries below say once that they run on one thread, or that a figure has no space left.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = draw()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight")
    plt.close(figure)
    image = Image.open(buffer).convert("RGB")
    if flat:
        # 256 colours are enough for flat colours, at a third of the size.
        image = image.quantize(256, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    image.save(packed, format="png", optimize=True)
    return Picture(packed.getvalue(), alt)
