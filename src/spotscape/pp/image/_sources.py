"""Find the image of each slice: in ``uns["spatial"]``, a file, an array or stored patches."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from spotscape._images import as_rgb
from spotscape._places import Places
from spotscape._slices import need_slice_key, read_slices
from spotscape._validate import check_number, check_present, shown
from spotscape.graph._checks import as_positions
from spotscape.pp.image._slide import Slide

OneImage: TypeAlias = str | Path | NDArray[Any] | None
Images: TypeAlias = OneImage | Mapping[str, OneImage]
PerSlice: TypeAlias = float | Mapping[str, float] | None

_RESOLUTIONS = ("hires", "lowres")
#: Smallest width of a tile in pixels of the image.
_MIN_TILE_WIDTH = 2.0


def read_slides(
    adata: AnnData,
    *,
    image: Images,
    image_key: str | None,
    patches_key: str | None,
    slice_key: str | None,
    spatial_key: str,
    scale_factor: PerSlice,
    tile_size: PerSlice,
) -> list[Slide]:
    """Find the image of each slice and the positions of its spots in it, without reading pixels.

    Parameters
    ----------
    adata
        Annotated data.
    image, image_key, patches_key, slice_key, spatial_key, scale_factor, tile_size
        As in :func:`spotscape.pp.image_features`.

    Returns
    -------
    One entry per slice, sorted by name, without the spots that lie outside the image.
    """
    slices = rows_of_slices(adata, slice_key)
    if patches_key is not None:
        given = {"image": image, "image_key": image_key, "scale_factor": scale_factor, "tile_size": tile_size}
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"`{name}` was given, but `patches_key` has the tiles already; pass one of them.")
        patches = read_patches(adata, patches_key)
        origin = f"obsm[{patches_key!r}]"
        return [Slide(name, spots, patches[spots], origin) for name, spots in slices.items()]
    if image is not None and image_key is not None:
        raise ValueError(
            "`image` and `image_key` were given, but `image_key` selects an image of `adata.uns['spatial']`; pass one "
            "of them."
        )
    check_present(spatial_key, "spatial_key", adata.obsm, "adata.obsm")
    positions = as_positions(adata.obsm[spatial_key], Places.of(adata))[:, :2]
    libraries = _libraries(adata, slices, image_key, required=image is None)
    images = _images_of_slices(image, slices) if image is not None else {}
    slides = []
    for name, spots in slices.items():
        library = libraries.get(name, {})
        scale = _value_of_slice(scale_factor, name, "scale_factor")
        if image is None:
            source, origin, stored_scale = _image_in_uns(library, name, image_key, needs_scale=scale is None)
        else:
            source, origin, stored_scale = images[name], "array", 1.0
        scale = stored_scale if scale is None else scale
        if isinstance(source, str | Path):
            source = Path(source)
            origin = str(source)
        size = _value_of_slice(tile_size, name, "tile_size")
        _check_within(size, positions[spots])
        size = _default_tile_size(library, positions[spots]) if size is None else size
        if source is None:
            slides.append(Slide(name, spots[:0], None, "none"))
            continue
        slide = Slide(name, spots, source, origin, positions[spots] * scale, size * scale, scale)
        slides.append(_without_spots_off_image(slide))
    return slides


def _check_within(tile_size: float | None, positions: NDArray[np.float64]) -> None:
    """Raise ``ValueError`` if a tile is larger than all positions together."""
    extent = float(np.ptp(positions, axis=0).max()) if len(positions) > 1 else np.inf
    if tile_size is not None and tile_size > extent:
        raise ValueError(
            f"`tile_size` is {tile_size:g}, but the positions of a slice extend over {extent:g} only; pass the width "
            "of a tile in the unit of the positions."
        )


def rows_of_slices(adata: AnnData, slice_key: str | None) -> dict[str, NDArray[np.intp]]:
    """Row numbers of the spots of each slice, sorted by name; without a key, one slice with an empty name."""
    if not adata.n_obs:
        raise ValueError("`adata` has no spots; pass an AnnData with at least one.")
    if slice_key is None:
        return {"": np.arange(adata.n_obs)}
    names = read_slices(adata, need_slice_key(adata, slice_key)).to_numpy(str)
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


def read_patches(adata: AnnData, patches_key: str) -> NDArray[np.uint8]:
    """Read the stored patches of all spots; flat ones have the shape ``uns["patch_shape"]``. ``(n_spots, n, n, 3)``."""
    check_present(patches_key, "patches_key", adata.obsm, "adata.obsm")
    patches = np.asarray(adata.obsm[patches_key])
    if patches.ndim == 2:
        if "patch_shape" not in adata.uns:
            raise KeyError(
                f"`adata.obsm[{patches_key!r}]` has flat patches; set `adata.uns['patch_shape']` to (height, width, 3)."
            )
        shape = tuple(int(length) for length in adata.uns["patch_shape"])
        if int(np.prod(shape)) != patches.shape[1]:
            raise ValueError(
                f"`adata.obsm[{patches_key!r}]` has {patches.shape[1]} columns, but `adata.uns['patch_shape']` is "
                f"{shape}; correct the shape."
            )
        patches = patches.reshape(len(patches), *shape)
    if patches.ndim != 4 or patches.shape[1] != patches.shape[2]:
        raise ValueError(
            f"The patches of `adata.obsm[{patches_key!r}]` have shape {patches.shape[1:]}; pass square patches of "
            "shape (n_pixels, n_pixels, 3)."
        )
    return as_rgb(patches, f"`adata.obsm[{patches_key!r}]`")


def _libraries(
    adata: AnnData, slices: Mapping[str, Any], image_key: str | None, *, required: bool
) -> dict[str, Mapping[str, Any]]:
    """Entry of each slice in ``uns["spatial"]``; a single entry is that of a single slice, whatever their names."""
    libraries = adata.uns.get("spatial", {})
    libraries = libraries if isinstance(libraries, Mapping) else {}
    if len(libraries) == len(slices) == 1:
        return dict(zip(slices, libraries.values(), strict=True))
    missing = [name for name in slices if name not in libraries]
    if required and not libraries:
        raise KeyError(
            f"`image` is None, `image_key` is {image_key!r}, and `adata.uns['spatial']` has no image; pass "
            "`image`, or `patches_key` for stored patches."
        )
    if required and "" in slices:
        raise ValueError(f"`adata.uns['spatial']` has images of {len(libraries)} slices; pass `slice_key`.")
    if required and missing:
        raise KeyError(
            f"`adata.uns['spatial']` has no slice {missing[0]!r} (it has {list(libraries)}); rename it, or add "
            "{'images': {}} for a slice without an image."
        )
    return {name: libraries[name] for name in slices if name in libraries}


def _image_in_uns(
    library: Mapping[str, Any], name: str, image_key: str | None, *, needs_scale: bool
) -> tuple[Any, str, float]:
    """Image of a slice in ``uns["spatial"]``, where it comes from, and its scale factor (1 if not needed)."""
    where = f"`adata.uns['spatial'][{name!r}]`" if name else "`adata.uns['spatial']`"
    images = library.get("images", {}) if isinstance(library, Mapping) else {}
    if not images:
        return None, "none", 1.0
    if image_key is None:
        image_key = next((key for key in _RESOLUTIONS if key in images), None)
    if image_key is None or image_key not in images:
        raise KeyError(f"{where} has no image {image_key or 'hires'!r} (it has {list(images)}); pass `image_key`.")
    factors = library.get("scalefactors", {})
    if needs_scale and f"tissue_{image_key}_scalef" not in factors:
        raise KeyError(f"{where} has no scale factor for the image {image_key!r}; pass `scale_factor`.")
    if needs_scale:
        _check_resolutions(images, factors, where)
    scale = float(factors[f"tissue_{image_key}_scalef"]) if needs_scale else 1.0
    return np.asarray(images[image_key]), f"uns['spatial'], {image_key}", scale


def _check_resolutions(images: Mapping[str, Any], factors: Mapping[str, Any], where: str) -> None:
    """Raise unless the sizes of the two images of a slice have the ratio of their scale factors."""
    keys = [key for key in _RESOLUTIONS if key in images and f"tissue_{key}_scalef" in factors]
    if len(keys) < 2:
        return
    high, low = (np.shape(images[key])[0] / float(factors[f"tissue_{key}_scalef"]) for key in keys)
    if not 0.95 < high / low < 1.05:
        raise ValueError(
            f"The images of {where} do not match their scale factors, by which the full-resolution image is {high:.0f} "
            f"or {low:.0f} pixels high; correct them, or pass `scale_factor`."
        )


def _images_of_slices(image: Images, slices: Mapping[str, Any]) -> dict[str, Any]:
    """Images that the user passed, by slice."""
    if not isinstance(image, Mapping):
        if len(slices) > 1:
            raise ValueError(f"`image` is {shown(image)}, one image for {len(slices)} slices; pass {{name: image}}.")
        return dict.fromkeys(slices, image)
    if list(slices) == [""]:
        if len(image) > 1:
            raise ValueError(f"`image` has {len(image)} images, but `slice_key` is None; pass `slice_key`.")
        return {"": next(iter(image.values()), None)}
    missing = [name for name in slices if name not in image]
    if missing:
        raise KeyError(
            f"`image` has no slice {missing[0]!r} (it has {list(image)}); pass its image, or None if it has none."
        )
    for name in slices:
        if not isinstance(image[name], str | Path | np.ndarray | None):
            raise TypeError(
                f"`image` of slice {name!r} has type {type(image[name]).__name__}; pass a path or an array."
            )
    return {name: image[name] for name in slices}


def _value_of_slice(value: PerSlice, name: str, argument: str) -> float | None:
    """Number that the user passed for a slice, or ``None``."""
    if isinstance(value, Mapping):
        if name not in value:
            raise KeyError(f"`{argument}` has no slice {name!r} (it has {list(value)}); pass one number per slice.")
        value = value[name]
    if value is None:
        return None
    check_number(value, argument)
    if value <= 0:
        raise ValueError(f"`{argument}` is {value}; pass a positive number.")
    return float(value)


def _default_tile_size(library: Mapping[str, Any], positions: NDArray[np.float64]) -> float:
    """Diameter of a spot, or the median distance from a position to the nearest other position."""
    factors = library.get("scalefactors", {}) if isinstance(library, Mapping) else {}
    if "spot_diameter_fullres" in factors:
        return float(factors["spot_diameter_fullres"])
    unique = np.unique(positions, axis=0)
    if len(unique) < 2:
        raise ValueError("There is no spot diameter in `adata.uns['spatial']` and only one position; pass `tile_size`.")
    return float(np.median(cKDTree(unique).query(unique, k=2)[0][:, 1]))


def _without_spots_off_image(slide: Slide) -> Slide:
    """The slide with the spots on its image; raises if most spots are off the image, because the scale is wrong."""
    label = f"slice {slide.name!r}" if slide.name else "the section"
    height, width = slide.image_size()
    if slide.tile_width < _MIN_TILE_WIDTH:
        raise ValueError(
            f"A tile of {label} is {slide.tile_width:.2g} pixels of the image wide; check the scale factor "
            f"({slide.scale_factor:g}), pass a larger `tile_size`, or a larger image."
        )
    on_image = np.all((slide.centres >= 0) & (slide.centres <= (width, height)), axis=1)
    if 2 * on_image.sum() < len(on_image):
        raise ValueError(
            f"{int((~on_image).sum())} of {len(on_image)} spots of {label} lie outside its image of {width} x {height} "
            f"pixels; check that it is the right image, and the scale factor ({slide.scale_factor:g})."
        )
    return replace(slide, spots=slide.spots[on_image], centres=slide.centres[on_image])
