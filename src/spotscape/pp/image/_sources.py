"""Where the image of each slice comes from: squidpy's entries, files, arrays or stored patches."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from spotscape._slices import need_slice_key, read_slices
from spotscape._validate import check_number
from spotscape.graph._checks import as_positions
from spotscape.pp.image._patches import stored_patches
from spotscape.pp.image._slide import Slide

OneImage: TypeAlias = str | Path | NDArray[Any] | None
Images: TypeAlias = OneImage | Mapping[str, OneImage]
PerSlice: TypeAlias = float | Mapping[str, float] | None

_RESOLUTIONS = ("hires", "lowres")
_MIN_WIDTH = 2.0


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
    """Find the image of each slice and the places of its spots in it, without reading pixels.

    Parameters
    ----------
    adata
        Annotated data.
    image, image_key, patches_key, slice_key, spatial_key, scale_factor, tile_size
        As in :func:`spotscape.pp.image_features`.

    Returns
    -------
    One entry a slice, in the order of their names. Spots outside the image are not among its spots.
    """
    slices = slices_of(adata, slice_key)
    if patches_key is not None:
        given = {"image": image, "image_key": image_key, "scale_factor": scale_factor, "tile_size": tile_size}
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"`{name}` was given, but the tiles are stored in `patches_key`; leave one out.")
        patches = stored_patches(adata, patches_key)
        origin = f"obsm[{patches_key!r}]"
        return [Slide(name, spots, patches[spots], origin) for name, spots in slices.items()]
    if image is not None and image_key is not None:
        raise ValueError(
            "`image` and `image_key` were given, but `image_key` chooses among `adata.uns`; leave one out."
        )
    if spatial_key not in adata.obsm:
        raise KeyError(
            f"`spatial_key` is {spatial_key!r}, which is not in `adata.obsm` (it has {list(adata.obsm)}); pass the "
            "entry with the positions in pixels of the full image."
        )
    positions = as_positions(adata.obsm[spatial_key])[:, :2]
    libraries = _libraries(adata, slices, required=image is None)
    images = _given_images(image, slices) if image is not None else {}
    slides = []
    for name, spots in slices.items():
        library = libraries.get(name, {})
        scale = _of_slice(scale_factor, name, slices, "scale_factor")
        if image is None:
            source, origin, own_scale = _squidpy_image(library, name, image_key, needs_scale=scale is None)
        else:
            source, origin, own_scale = images[name], "array", 1.0
        scale = own_scale if scale is None else scale
        if isinstance(source, str | Path):
            source = Path(source)
            origin = str(source)
        width = _of_slice(tile_size, name, slices, "tile_size")
        width = _default_tile_size(library, positions[spots]) if width is None else width
        if source is None:
            slides.append(Slide(name, spots[:0], None, "none"))
            continue
        slide = Slide(name, spots, source, origin, positions[spots] * scale, width * scale, scale)
        slides.append(_on_the_image(slide))
    return slides


def slices_of(adata: AnnData, slice_key: str | None) -> dict[str, NDArray[np.intp]]:
    """Row numbers of the spots of each slice, in the order of the names; one slice without name without a key."""
    if not adata.n_obs:
        raise ValueError("`adata` has no spots; there is nothing to describe.")
    if slice_key is None:
        return {"": np.arange(adata.n_obs)}
    names = read_slices(adata, need_slice_key(adata, slice_key)).to_numpy(str)
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


def _libraries(adata: AnnData, slices: Mapping[str, Any], *, required: bool) -> dict[str, Mapping[str, Any]]:
    """Squidpy's entry of each slice; where there is one of each, their names need not agree."""
    libraries = adata.uns.get("spatial", {})
    libraries = libraries if isinstance(libraries, Mapping) else {}
    if len(libraries) == len(slices) == 1:
        return dict(zip(slices, libraries.values(), strict=True))
    missing = [name for name in slices if name not in libraries]
    if required and not libraries:
        raise KeyError(
            "There is no image in `adata.uns['spatial']`; pass `image`, or `patches_key` for stored patches."
        )
    if required and "" in slices:
        raise ValueError(f"`adata.uns['spatial']` has the images of {len(libraries)} slices; pass `slice_key`.")
    if required and missing:
        raise KeyError(
            f"`adata.uns['spatial']` has no slice {missing[0]!r} (it has {list(libraries)}); rename it, or add "
            "{'images': {}} for a slice without an image."
        )
    return {name: libraries[name] for name in slices if name in libraries}


def _squidpy_image(
    library: Mapping[str, Any], name: str, image_key: str | None, *, needs_scale: bool
) -> tuple[Any, str, float]:
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
        raise KeyError(f"{where} has no scale factor of the image {image_key!r}; pass `scale_factor`.")
    if needs_scale:
        _check_resolutions(images, factors, where)
    scale = float(factors[f"tissue_{image_key}_scalef"]) if needs_scale else 1.0
    return np.asarray(images[image_key]), f"uns['spatial'], {image_key}", scale


def _check_resolutions(images: Mapping[str, Any], factors: Mapping[str, Any], where: str) -> None:
    """Two images of one slice must differ in size as their scale factors do."""
    keys = [key for key in _RESOLUTIONS if key in images and f"tissue_{key}_scalef" in factors]
    if len(keys) < 2:
        return
    high, low = (np.shape(images[key])[0] / float(factors[f"tissue_{key}_scalef"]) for key in keys)
    if not 0.95 < high / low < 1.05:
        raise ValueError(
            f"The images of {where} do not go with their scale factors (by these the full image is {high:.0f} or "
            f"{low:.0f} pixels high); correct them, or pass `scale_factor`."
        )


def _given_images(image: Images, slices: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(image, Mapping):
        if len(slices) > 1:
            raise ValueError(f"`image` is one image for {len(slices)} slices; pass one a slice, as {{name: image}}.")
        return dict.fromkeys(slices, image)
    if list(slices) == [""]:
        if len(image) > 1:
            raise ValueError(f"`image` has {len(image)} images, but the slices are not told apart; pass `slice_key`.")
        return {"": next(iter(image.values()), None)}
    missing = [name for name in slices if name not in image]
    if missing:
        raise KeyError(
            f"`image` has no slice {missing[0]!r} (it has {list(image)}); pass its image, or None if it has none."
        )
    for name in slices:
        if not isinstance(image[name], str | Path | np.ndarray | None):
            raise TypeError(
                f"`image` of slice {name!r} is of type {type(image[name]).__name__}; pass a path or an array."
            )
    return {name: image[name] for name in slices}


def _of_slice(value: PerSlice, name: str, slices: Mapping[str, Any], argument: str) -> float | None:
    if isinstance(value, Mapping):
        if name not in value:
            raise KeyError(f"`{argument}` has no slice {name!r} (it has {list(value)}); pass one number a slice.")
        value = value[name]
    if value is None:
        return None
    check_number(value, argument)
    if value <= 0:
        raise ValueError(f"`{argument}` is {value}; it must be positive.")
    return float(value)


def _default_tile_size(library: Mapping[str, Any], positions: NDArray[np.float64]) -> float:
    factors = library.get("scalefactors", {}) if isinstance(library, Mapping) else {}
    if "spot_diameter_fullres" in factors:
        return float(factors["spot_diameter_fullres"])
    places = np.unique(positions, axis=0)
    if len(places) < 2:
        raise ValueError("The size of a spot is not known and cannot be told from one position; pass `tile_size`.")
    return float(np.median(cKDTree(places).query(places, k=2)[0][:, 1]))


def _on_the_image(slide: Slide) -> Slide:
    """The slide with the spots that lie on its image; raises where most do not, as then the scale is wrong."""
    label = f"slice {slide.name!r}" if slide.name else "the section"
    height, width = slide.image_size()
    if slide.tile_width < _MIN_WIDTH:
        raise ValueError(
            f"A tile of {label} is {slide.tile_width:.2g} pixels of the image wide; check the scale factor "
            f"({slide.scale_factor:g}), pass a larger `tile_size`, or a larger image."
        )
    on_image = np.all((slide.centres >= 0) & (slide.centres <= (width, height)), axis=1)
    if 2 * on_image.sum() < len(on_image):
        raise ValueError(
            f"{int((~on_image).sum())} of {len(on_image)} spots of {label} lie outside its image of {width} x {height} "
            f"pixels; check that it is the right one, and the scale factor ({slide.scale_factor:g})."
        )
    return slide.of_spots(on_image)
