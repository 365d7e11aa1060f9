"""Features of the tissue image around every spot."""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray

from spotscape._arguments import check_call
from spotscape._bars import progress_bar
from spotscape._uns import without_none
from spotscape._validate import check_choice, check_integer
from spotscape.pp.image._arguments import check_method, tile_pixels, tile_scales
from spotscape.pp.image._blank_tiles import warn_of_blank_tiles
from spotscape.pp.image._cache import FeatureCache, content_key
from spotscape.pp.image._extraction import Extractor, extract_features, tile_reader
from spotscape.pp.image._slide import Slide, evenly_chosen_spots
from spotscape.pp.image._sources import Images, PerSlice, read_slides
from spotscape.pp.image._stain import STAIN_METHODS

# Texture and nuclei of tiles with fewer pixels of the image would be those of the interpolation.
_MIN_WIDTH_FOR_TEXTURE = 16


def image_features(
    adata: AnnData,
    *,
    method: str | Path = "handcrafted",
    image: Images = None,
    image_key: str | None = None,
    patches_key: str | None = None,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    scale_factor: PerSlice = None,
    tile_size: PerSlice = None,
    scales: Sequence[float] | None = None,
    n_pixels: int | None = None,
    stain: str = "none",
    key_added: str = "X_image",
    cache_dir: str | Path | None = None,
    n_jobs: int = -1,
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Compute features of the tissue image, such as haematoxylin and eosin (H&E), around every spot.

    A square tile is cut around each spot. Its features are handcrafted (colours and stains :cite:p:`Ruifrok2001`,
    grey-level co-occurrence matrices :cite:p:`Haralick1973`, local binary patterns :cite:p:`Ojala2002`, Gabor filters,
    nuclei above Otsu's threshold :cite:p:`Otsu1979`), or those of a small network trained by self-supervision on the
    tiles of ``adata`` :cite:p:`Chen2021`, or those of a local pathology model. Nothing is downloaded. Tiles are
    processed in batches, and the features do not depend on the order of the spots. Features are not scaled, because the
    models scale their input.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots.
    method
        ``"handcrafted"`` (the default): 99 features per scale, computed by scikit-image, which
        ``pip install "spotscape[image]"`` installs; only the 26 of colours and stains at scales at which a tile of any
        slice is less than 16 pixels of the image wide. ``"self-supervised"``: 128 features per scale; the network is
        trained on all slices of ``adata`` together, so adding a slice changes the features. Or the path of a folder
        with a timm or transformers model, which needs ``pip install "spotscape[foundation]"``.
    image
        Image of the slice: path of a TIFF, JPEG or PNG file, or an array ``(height, width, 3)``. For several slices:
        ``{slice: image}``, with ``None`` for a slice without an image. If ``None``, the images are those of
        ``adata.uns["spatial"]``, as squidpy and scanpy store them, under the names of the slices.
    image_key
        Which image of ``adata.uns["spatial"][slice]["images"]``. If ``None``, ``"hires"``, otherwise ``"lowres"``.
    patches_key
        Key in ``adata.obsm`` of stored tiles, ``(n_spots, n, n, 3)``, or flat with their shape in
        ``adata.uns["patch_shape"]``. Images and positions are then not used.
    slice_key
        Column of ``adata.obs`` with the slice of each spot. ``None`` (the default) means that all spots belong to one
        slice.
    spatial_key
        Key in ``adata.obsm`` of the positions x, y in pixels of the full-resolution image.
    scale_factor
        Pixels of the image per pixel of the full-resolution image; one number, or ``{slice: number}``. If ``None``,
        that of ``adata.uns["spatial"]`` for its images, and 1 for other images.
    tile_size
        Side of a tile in pixels of the full-resolution image; one number, or ``{slice: number}``. If ``None``, the spot
        diameter in ``adata.uns["spatial"]``, or else the median distance from a spot to its nearest neighbour.
    scales
        Tile widths as multiples of ``tile_size``; features are computed at each scale and concatenated. If ``None``, 1
        and 2: the spot, and the spot with its surroundings. Stored patches have one scale.
    n_pixels
        Side in pixels, at least 16, to which every tile is resized, so that texture is comparable between images of
        different resolution. If ``None``, 64, or the input size of the model in the folder.
    stain
        Stain normalisation of each slice by itself. ``"none"`` (the default); ``"slide"``: haematoxylin and eosin get a
        fixed mean and standard deviation; ``"macenko"``: the stain vectors of the slice are estimated and replaced by
        fixed ones :cite:p:`Macenko2009`.
    key_added
        Key of the features in ``adata.obsm`` and of their parameters in ``adata.uns``.
    cache_dir
        Folder in which the features of each slice are cached. A file is named by a hash of the image, the positions,
        the settings and the version of the method, so that features of other data or settings are never read. ``None``
        (the default): no cache.
    n_jobs
        Number of threads for ``"handcrafted"``; -1 (the default) means all cores. The features do not depend on it.
    seed
        Seed of ``"self-supervised"``; the other methods are deterministic.
    copy
        Return a copy of ``adata`` with the features instead of writing to ``adata``.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obsm[key_added]``
        Features as float32; rows of spots without an image are missing (NaN). ``(n_spots, n_features)``.
    ``.obs[f"{key_added}_present"]``
        Whether the spot lies on an image. ``(n_spots,)``.
    ``.uns[key_added]``
        Names of the features, parameters, and the origin and hash of the image of each slice.

    Raises
    ------
    FileNotFoundError
        If there is no image at a path.
    ImportError
        If scikit-image or the library of a model is not installed.
    KeyError
        If a key or the image of a slice is missing.
    ValueError
        If an image is damaged, if most spots of a slice lie outside its image, or if an argument is out of range.
        ``adata`` is unchanged.

    Warns
    -----
    UserWarning
        If some spots have no image, many tiles of a slide show its background, or tiles are less than 16 pixels of the
        image wide.

    Examples
    --------
    The image has a fifth of the resolution of the positions; in practice it is the path of a file.

    >>> import numpy as np
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=40)
    >>> image = np.random.default_rng(0).integers(0, 256, (140, 140, 3), dtype=np.uint8)
    >>> sps.pp.image_features(adata, image=image, scale_factor=0.2)
    >>> adata.obsm["X_image"].shape
    (40, 198)
    >>> adata.uns["X_image"]["names"][:3].tolist()
    ['mean of red (1x)', 'sd of red (1x)', 'mean of green (1x)']
    """
    check_call(image_features, locals())
    check_choice(stain, STAIN_METHODS, "stain")
    check_integer(n_jobs, "n_jobs", minimum=-1)
    if n_jobs == 0:
        raise ValueError("`n_jobs` is 0; pass the number of threads, or -1 for all cores.")
    folder = check_method(method)
    n_pixels = tile_pixels(n_pixels, folder)
    if patches_key is not None and scales is not None:
        raise ValueError("`scales` was given, but the stored patches of `patches_key` have one scale; omit `scales`.")
    scales = (1.0,) if patches_key is not None else tile_scales(scales)
    all_slides = read_slides(
        adata,
        image=image,
        image_key=image_key,
        patches_key=patches_key,
        slice_key=slice_key,
        spatial_key=spatial_key,
        scale_factor=scale_factor,
        tile_size=tile_size,
    )
    slides = [slide for slide in all_slides if len(slide.spots)]
    if not slides:
        raise ValueError("No slice has an image; pass `image`, or `patches_key` for stored patches.")
    cache = None if cache_dir is None else FeatureCache(cache_dir)
    spot_names = {slide.name: adata.obs_names[slide.spots].to_numpy().astype(str) for slide in slides}
    digests = {slide.name: content_key(slide.digest(), spot_names[slide.name].tolist()) for slide in slides}
    colors_only = tuple(any(scale * slide.tile_width < _MIN_WIDTH_FOR_TEXTURE for slide in slides) for scale in scales)

    method_name, *method_state = _method_identity(method, folder, colors_only, seed, digests)
    keys = {
        name: content_key(digest, (method_name, *method_state, stain, scales, n_pixels))
        for name, digest in digests.items()
    }
    sizes = {slide.name: len(slide.spots) for slide in slides}
    cached = {} if cache is None else {name: cache.read(key, sizes[name]) for name, key in keys.items()}
    features = _of_one_width({name: values for name, values in cached.items() if values is not None})
    missing = [slide for slide in slides if slide.name not in features]
    if missing:
        extractors = _extractors(method, folder, slides, spot_names, colors_only, stain, scales, n_pixels, seed)
        n_spots = sum(len(slide.spots) for slide in missing)
        with progress_bar(total=n_spots, desc="Image features", unit="spot", leave=False) as progress:
            for slide in missing:
                pixels = slide.pixels()
                read = tile_reader(slide, pixels, spot_names[slide.name], stain, n_pixels)
                warn_of_blank_tiles(slide, pixels)
                features[slide.name] = extract_features(
                    read,
                    len(slide.spots),
                    extractors,
                    scales,
                    # networks use several threads themselves
                    n_jobs=n_jobs if method == "handcrafted" else 1,
                    progress=progress,
                )
                if cache is not None:
                    cache.write(keys[slide.name], features[slide.name])

    values = np.full((adata.n_obs, features[slides[0].name].shape[1]), np.nan, dtype=np.float32)
    present = np.zeros(adata.n_obs, dtype=bool)
    for slide in slides:
        values[slide.spots] = features[slide.name]
        present[slide.spots] = True
    _warn_of_missing_spots(int((~present).sum()), key_added)
    _warn_of_narrow_tiles(slides, [scale for scale, only in zip(scales, colors_only, strict=True) if only])
    target = adata.copy() if copy else adata
    target.obsm[key_added] = values
    target.obs[f"{key_added}_present"] = present
    target.uns[key_added] = without_none(
        {
            "method": method_name,
            **({"model": str(folder)} if folder is not None else {}),
            **({"seed": int(seed)} if method == "self-supervised" else {}),
            "names": _feature_names(method, values.shape[1], scales, colors_only),
            "stain": stain,
            "scales": np.array(scales),
            "n_pixels": n_pixels,
            "slice_key": slice_key,
            "slices": np.array([slide.name for slide in all_slides]),
            "image": np.array([slide.origin for slide in all_slides]),
            "digest": np.array([digests.get(slide.name, "") for slide in all_slides]),
            "scale_factor": np.array([slide.scale_factor for slide in all_slides]),
            "tile_size": np.array([slide.tile_width / slide.scale_factor for slide in all_slides]),
            "version": version("spotscape"),
        }
    )
    return target if copy else None


def _of_one_width(features: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Cached features of all slices, or none: those of different widths were not made with one setting."""
    return features if len({values.shape[1] for values in features.values()}) < 2 else {}


def _method_identity(
    method: str | Path, folder: Path | None, colors_only: tuple[bool, ...], seed: int, digests: Mapping[str, str]
) -> tuple[Any, ...]:
    """Name of the method, and what determines its features besides tiles and settings, for the keys of the cache."""
    if folder is not None:
        from spotscape.pp.image._local_model import model_digest

        return "model", model_digest(folder)
    if method == "self-supervised":
        from spotscape.pp.image._self_supervised import NETWORK_VERSION

        return "self-supervised", NETWORK_VERSION, int(seed), sorted(digests.items())
    from spotscape.pp.image._handcrafted import HANDCRAFTED_VERSION

    return "handcrafted", HANDCRAFTED_VERSION, version("scikit-image"), colors_only


def _extractors(
    method: str | Path,
    folder: Path | None,
    slides: list[Slide],
    spot_names: Mapping[str, NDArray[Any]],
    colors_only: tuple[bool, ...],
    stain: str,
    scales: tuple[float, ...],
    n_pixels: int,
    seed: int,
) -> list[Extractor]:
    """One function from tiles to features per scale."""
    if method == "handcrafted":
        from spotscape.pp.image._handcrafted import handcrafted_features

        return [partial(handcrafted_features, colors_only=only) for only in colors_only]
    if folder is not None:
        from spotscape.pp.image._local_model import load_local_model

        return [load_local_model(folder)] * len(scales)
    from spotscape.pp.image._self_supervised import MAX_TRAINING_TILES, encode, train_encoder

    n_spots = sum(len(slide.spots) for slide in slides)
    tiles = []
    for slide in slides:
        read = tile_reader(slide, slide.pixels(), spot_names[slide.name], stain, n_pixels)
        # Each slice and scale gets its share of the training tiles.
        max_spots = max(1, MAX_TRAINING_TILES * len(slide.spots) // (n_spots * len(scales)))
        spots = evenly_chosen_spots(spot_names[slide.name], max_spots)
        tiles += [read(spots, scale) for scale in scales]
    return [partial(encode, train_encoder(np.concatenate(tiles), seed))] * len(scales)


def _feature_names(
    method: str | Path, n_features: int, scales: tuple[float, ...], colors_only: tuple[bool, ...]
) -> NDArray[np.str_]:
    if method == "handcrafted":
        from spotscape.pp.image._handcrafted import COLOR_NAMES, HANDCRAFTED_NAMES

        names_of_scales = [COLOR_NAMES if only else HANDCRAFTED_NAMES for only in colors_only]
    else:
        names_of_scales = [tuple(f"feature {k}" for k in range(n_features // len(scales)))] * len(scales)
    if len(scales) == 1:
        return np.array(names_of_scales[0])
    pairs = zip(scales, names_of_scales, strict=True)
    return np.array([f"{name} ({scale:g}x)" for scale, names in pairs for name in names])


def _warn_of_missing_spots(n_missing: int, key_added: str) -> None:
    if n_missing:
        warnings.warn(
            f"{n_missing} spots have no image; their rows of `obsm[{key_added!r}]` are missing (NaN), see "
            f"`obs['{key_added}_present']`.",
            stacklevel=3,
        )


def _warn_of_narrow_tiles(slides: list[Slide], scales: list[float]) -> None:
    if scales:
        width = min(scales) * min(slide.tile_width for slide in slides)
        warnings.warn(
            f"Tiles of scale {', '.join(map('{:g}'.format, scales))} are only {width:.1f} pixels of the image wide; "
            f"below {_MIN_WIDTH_FOR_TEXTURE} pixels only features of colours and stains are computed.",
            stacklevel=3,
        )
