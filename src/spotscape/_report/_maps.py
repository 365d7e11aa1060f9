"""Interactive maps of a report: one document of Bokeh for each slice, of points at quantised positions or of pixels."""

import base64
import io
import json
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from PIL import Image

from spotscape._report._raster import MOST_POINTS, make_raster
from spotscape._report._tissue import Tissue
from spotscape.pl._colors import UNANNOTATED
from spotscape.pl._image import TissueImage, tissue_images
from spotscape.pl._lattice import find_lattice

_STEPS = 65_535
#: Names of spots are written for at most this many spots, since each takes as much space as three spots without.
_MAX_NAMES = 50_000
#: Depth of spots is written for at most this many spots.
_MAX_DEPTH = 100_000
#: Where there is no spot, and a confidence that is not known.
_MISSING, _UNKNOWN = 255, 101
#: Smallest and largest ratio of width to height.
_ASPECTS = 1.25, 2.2
#: Longest side of an image in pixels, for one slice and for many.
_IMAGE_SIDE, _SMALL_IMAGE_SIDE, _MANY_IMAGES = 1000, 600, 6


def map_documents(tissue: Tissue) -> list[dict[str, Any]]:
    """Documents of the maps, one for each slice, as dictionaries that can be written as JSON."""
    with_depth = tissue.depth is not None and tissue.adata.n_obs <= _MAX_DEPTH
    images = tissue_images(tissue.adata, tissue.slice_names, image=None, image_key=None)
    side = _IMAGE_SIDE if sum(image is not None for image in images) <= _MANY_IMAGES else _SMALL_IMAGE_SIDE
    return [
        _document(tissue, code, None if image is None else _jpeg(image, side), with_depth)
        for code, image in enumerate(images)
    ]


def spot_names(tissue: Tissue) -> list[list[str]]:
    """Names of the spots of each slice; empty where there are too many."""
    if tissue.adata.n_obs > _MAX_NAMES:
        return [[] for _ in tissue.slice_names]
    return [tissue.adata.obs_names[tissue.slices == code].astype(str).tolist() for code in range(tissue.n_slices)]


def as_json(value: Any) -> str:
    """JSON that may stand in a script element of HTML."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")


def _document(tissue: Tissue, code: int, image: tuple[str, float, float] | None, with_depth: bool) -> dict[str, Any]:
    from bokeh.embed import json_item
    from bokeh.models import ColumnDataSource, CustomJS, HoverTool, LinearColorMapper, PanTool, Range1d, WheelZoomTool
    from bokeh.plotting import figure

    rows = np.flatnonzero(tissue.slices == code)
    positions = tissue.coordinates[rows]
    low, extent = positions.min(axis=0), max(float(np.ptp(positions, axis=0).max()), 1e-9)
    steps_per_unit = _STEPS / extent
    quantised = np.rint((positions - low) * steps_per_unit).astype(np.uint16)
    # On an image, spots are translucent and must not overlap.
    lattice = find_lattice(positions)
    width = lattice.size if image is None or lattice.shape != "circle" else 0.7 * lattice.size
    radius = 0.5 * width * steps_per_unit
    n_corners = {"hexagon": 6, "square": 4}.get(lattice.shape, 0)
    to_corner = radius / np.cos(np.pi / n_corners) if n_corners else radius

    domains = tissue.domains.codes[rows].astype(np.int64)
    columns = {"domain": np.minimum(np.where(domains < 0, len(tissue.colors), domains), _MISSING - 1).astype(np.uint8)}
    if tissue.confidence is not None:
        confidence = tissue.confidence[rows]
        percent = np.rint(100 * np.clip(np.nan_to_num(confidence), 0, 1))
        columns["confidence"] = np.where(np.isfinite(confidence), percent, _UNKNOWN).astype(np.uint8)
    raster = None
    if len(rows) > MOST_POINTS:
        raster = make_raster(quantised.astype(np.float64), 2 * to_corner, len(rows) / tissue.adata.n_obs)
    elif with_depth and tissue.depth is not None:
        columns["counts"] = tissue.depth.totals[rows].astype(np.float32)
        columns["genes"] = tissue.depth.n_detected[rows].astype(np.uint16)

    limits, aspect = _limits(quantised, radius, image, low, steps_per_unit)
    plot = figure(
        x_range=Range1d(start=limits[0][0], end=limits[0][1]),
        y_range=Range1d(start=limits[1][1], end=limits[1][0]),
        sizing_mode="scale_width",
        aspect_ratio=aspect,
        output_backend="webgl" if raster is None else "canvas",
        toolbar_location=None,
        tools=[],
        min_border=0,
        outline_line_color=None,
        background_fill_color="#ffffff",
    )
    plot.axis.visible = False
    plot.grid.visible = False
    if image is not None:
        address, width, height = image
        x, y = -low * steps_per_unit
        plot.image_url(
            url=[address],
            x=x,
            y=y,
            w=width * steps_per_unit,
            h=height * steps_per_unit,
            anchor="top_left",
            level="image",
            name="image",
        )
    mappers = {"domain": LinearColorMapper(palette=[*tissue.colors, UNANNOTATED], low=0, high=len(tissue.colors) + 1)}
    if "confidence" in columns:
        viridis = [to_hex(color) for color in colormaps["viridis"](np.linspace(0, 1, 101))]
        mappers["confidence"] = LinearColorMapper(palette=[*viridis, UNANNOTATED], low=0, high=_UNKNOWN + 1)
    source: Any
    alpha = 0.75 if image is not None else 1.0
    if raster is None:
        source = ColumnDataSource(columns | {"x": quantised[:, 0], "y": quantised[:, 1]})
        # The corners of polygons are counted against the clock from the one at the top, and the y axis points down.
        shape: dict[str, Any] = {"radius": to_corner}
        if n_corners:
            shape |= {"n": n_corners, "angle": -lattice.angle - np.pi / 2 - np.pi / n_corners}
        draw: Any = plot.ngon if n_corners else plot.circle
        renderers: list[Any] = [
            draw(
                "x",
                "y",
                source=source,
                line_color=None,
                fill_color={"field": name, "transform": mapper},
                fill_alpha=alpha,
                name=name,
                visible=name == "domain",
                **shape,
            )
            for name, mapper in mappers.items()
        ]
    else:
        source = ColumnDataSource({name: [raster.values(columns[name], _MISSING)] for name in mappers})
        (x, y), (width, height) = raster.low, raster.size
        options: dict[str, Any] = {"x": float(x), "y": float(y), "dw": float(width), "dh": float(height)}
        options["global_alpha"] = alpha
        renderers = []
        for name, mapper in mappers.items():
            # Where there is no spot.
            mapper.high_color = "rgba(255, 255, 255, 0)"
            renderers.append(
                plot.image(
                    image=name,
                    source=source,
                    name=name,
                    visible=name == "domain",
                    **(options | {"color_mapper": mapper}),
                )
            )
    hover = HoverTool(renderers=renderers, tooltips=None)
    hover.callback = CustomJS(code=f"window.spotscapeHover({code}, cb_data)")
    move, zoom = PanTool(), WheelZoomTool(modifiers={"ctrl": True})
    plot.add_tools(hover, move, zoom)
    plot.toolbar.active_drag, plot.toolbar.active_scroll = move, zoom
    target: Any = f"map-{code}"
    return dict(json_item(plot, target))


def _limits(
    quantised: np.ndarray, radius: float, image: tuple[str, float, float] | None, low: np.ndarray, scale: float
) -> tuple[list[tuple[float, float]], float]:
    """Limits of both axes around the spots, and the ratio of width to height, which is neither very flat nor high."""
    ends = np.stack([quantised.min(axis=0), quantised.max(axis=0)]).astype(np.float64)
    margin = max(2 * radius, 0.02 * _STEPS)
    ends += np.array([[-margin], [margin]])
    sizes = ends[1] - ends[0]
    aspect = float(np.clip(sizes[0] / sizes[1], *_ASPECTS))
    wanted = np.array([max(sizes[0], aspect * sizes[1]), max(sizes[1], sizes[0] / aspect)])
    centre = ends.mean(axis=0)
    return [(float(c - w / 2), float(c + w / 2)) for c, w in zip(centre, wanted, strict=True)], aspect


def _jpeg(image: TissueImage, side: int) -> tuple[str, float, float]:
    """Address that holds the image itself, and its width and height in the unit of the coordinates."""
    height, width = image.pixels.shape[:2]
    picture = Image.fromarray(image.rgb)
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, format="jpeg", quality=80)
    address = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    return address, width / image.scale, height / image.scale
