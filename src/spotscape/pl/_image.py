"""Tissue images of slices in ``uns["spatial"]``, as scanpy and squidpy keep them, to draw beneath maps."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from spotscape._validate import check_flag
from spotscape.pp.image._tiles import as_rgb

#: From the finest to the coarsest image.
_RESOLUTIONS = ("hires", "lowres")
#: Largest number of pixels of a drawn image along a side.
_MAX_SIDE = 2000


class TissueImage(NamedTuple):
    """Image of a slice."""

    pixels: np.ndarray
    """Colours, or brightness. ``(height, width, 3)`` or ``(height, width)``."""
    scale: float
    """Pixels of the image per unit of the coordinates."""

    def draw(self, axes: Axes) -> None:
        """Draw the part within the limits of a panel, which stay as they are."""
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        height, width = self.pixels.shape[:2]
        x = np.clip([np.floor(left * self.scale), np.ceil(right * self.scale)], 0, width).astype(int)
        y = np.clip([np.floor(top * self.scale), np.ceil(bottom * self.scale)], 0, height).astype(int)
        if x[0] == x[1] or y[0] == y[1]:
            return
        step = max(1, -(-max(np.diff(x)[0], np.diff(y)[0]) // _MAX_SIDE))
        shown = self.pixels[y[0] : y[1] : step, x[0] : x[1] : step]
        extent = (x[0], x[0] + step * shown.shape[1], y[0] + step * shown.shape[0], y[0])
        axes.imshow(
            shown if shown.ndim == 2 else as_rgb(shown, "The image"),
            extent=tuple(side / self.scale for side in extent),
            cmap="gray",
            interpolation="antialiased",
            zorder=0,
        )
        axes.set(xlim=(left, right), ylim=(bottom, top))


def tissue_images(
    adata: AnnData, names: list[str], image: bool | None, image_key: str | None
) -> list[TissueImage | None]:
    """Find the image of each slice.

    Parameters
    ----------
    adata
        Annotated data.
    names
        Names of the slices; empty if all spots are one slice without a name.
    image
        Whether to draw images. If ``None``, those that there are.
    image_key
        Key of the image. If ``None``, ``"hires"`` or else ``"lowres"``.

    Returns
    -------
    Image of each slice, ``None`` where there is none.

    Raises
    ------
    KeyError
        If ``image`` is ``True`` or ``image_key`` is given, but no slice has such an image with a scale factor.
    ValueError
        If ``image_key`` is given, but ``image`` is ``False``.
    """
    if image is not None:
        check_flag(image, "image")
    n_slices = max(1, len(names))
    if image is False:
        if image_key is not None:
            raise ValueError(f"`image_key` is {image_key!r}, but `image` is False; omit one of them.")
        return [None] * n_slices
    stored = adata.uns.get("spatial")
    libraries = stored if isinstance(stored, Mapping) else {}
    if len(libraries) == n_slices == 1:
        # The only image is that of the only slice, whatever their names.
        chosen: list[Any] = list(libraries.values())
    else:
        chosen = [libraries.get(name) for name in names] or [None]
    images = [_read(library, image_key) for library in chosen]
    if (image or image_key is not None) and not any(images):
        wanted = "image with a scale factor" if image_key is None else f"image {image_key!r} with a scale factor"
        raise KeyError(
            f"`adata.uns['spatial']` has no {wanted} of a slice (slices {names or 'without names'}, entries "
            f"{list(libraries)}); add one as 'images' and 'scalefactors' under the name of the slice, or omit `image`."
        )
    return images


def _read(library: Any, image_key: str | None) -> TissueImage | None:
    if not isinstance(library, Mapping):
        return None
    images, factors = library.get("images"), library.get("scalefactors")
    if not isinstance(images, Mapping) or not isinstance(factors, Mapping):
        return None
    for key in _RESOLUTIONS if image_key is None else (image_key,):
        scale = factors.get(f"tissue_{key}_scalef")
        if key not in images or not isinstance(scale, int | float | np.number) or not 0 < scale < np.inf:
            continue
        pixels = np.asarray(images[key])
        is_grey = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 1)
        if pixels.size and pixels.dtype.kind in "uif" and (is_grey or pixels.ndim == 3 and pixels.shape[2] in (3, 4)):
            return TissueImage(pixels.reshape(pixels.shape[:2]) if is_grey else pixels[..., :3], float(scale))
    return None
