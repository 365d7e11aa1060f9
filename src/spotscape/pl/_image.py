"""Tissue images of slices in ``uns["spatial"]``, as scanpy and squidpy keep them, to draw beneath maps."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from spotscape._images import as_rgb, check_range, grey_as_rgb
from spotscape._validate import check_flag

#: From the finest to the coarsest image.
_RESOLUTIONS = ("hires", "lowres")
#: Largest number of pixels of a drawn image along a side.
_MAX_SIDE = 2000


class TissueImage(NamedTuple):
    """Image of a slice."""

    pixels: np.ndarray
    """Brightness, or colours with or without opacity. ``(height, width)``, ``(height, width, 3)`` or ``(..., 4)``."""
    scale: float
    """Pixels of the image per unit of the coordinates."""

    @property
    def rgb(self) -> np.ndarray:
        """All pixels as 8-bit colours. ``(height, width, 3)``."""
        return _as_colors(self.pixels)

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
            _as_colors(shown),
            extent=tuple(side / self.scale for side in extent),
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
        If ``image_key`` is given, but ``image`` is ``False``, or an image that is asked for has values that are no
        colours. Otherwise such an image is left out with a warning.
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
    is_asked_for = bool(image) or image_key is not None
    images = [
        _usable(_read(library, image_key), name, is_asked_for)
        for library, name in zip(chosen, names or [""], strict=True)
    ]
    if is_asked_for and not any(images):
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
            return TissueImage(pixels.reshape(pixels.shape[:2]) if is_grey else pixels, float(scale))
    return None


def _usable(image: TissueImage | None, slice_name: str, is_asked_for: bool) -> TissueImage | None:
    """The image if its values are colours; otherwise raises if it is asked for, and warns if not."""
    if image is None or image.pixels.ndim == 2 or image.pixels.dtype == np.uint8:
        return image
    of_slice = f" of slice {slice_name!r}" if slice_name else ""
    try:
        check_range(image.pixels, f"The image{of_slice} in `adata.uns['spatial']`")
    except ValueError as error:
        if is_asked_for:
            raise
        warnings.warn(f"{error} It is not drawn.", UserWarning, stacklevel=4)
        return None
    return image


def _as_colors(pixels: np.ndarray) -> np.ndarray:
    return grey_as_rgb(pixels) if pixels.ndim == 2 else as_rgb(pixels, "The image")
