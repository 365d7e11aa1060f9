"""Features of the tissue image under every spot."""

import warnings
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from tqdm.auto import tqdm

from spotscape._validate import check_choice, check_integer
from spotscape.pp.image._arguments import checked_pixels, checked_scales, model_folder
from spotscape.pp.image._cache import FeatureCache, content_key
from spotscape.pp.image._color import COLOR_NAMES
from spotscape.pp.image._handcrafted import HANDCRAFTED_NAMES, HANDCRAFTED_VERSION, handcrafted_features
from spotscape.pp.image._slide import Slide, spread_over
from spotscape.pp.image._sources import Images, PerSlice, read_slides
from spotscape.pp.image._stream import Extractor, normalized_tiles, slide_normalizer, stream_features

STAINS = ("none", "slide", "macenko")
# With fewer pixels of the image across a tile, texture and nuclei would be those of the interpolation.
_COARSE = 16


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
    r"""Describe the tissue image, such as haematoxylin and eosin (H&E), under every spot by numbers.

    A square tile is cut around each spot and described without a network (colours and stains
    :cite:p:`Ruifrok2001`, co-occurrence of grey levels :cite:p:`Haralick1973`, local binary patterns
    :cite:p:`Ojala2002`, Gabor filters, nuclei above Otsu's threshold :cite:p:`Otsu1979`), by a small network that
    learns from the tiles at hand (:cite:p:`Chen2021`), or by a model that lies on the disk. Nothing is downloaded.
    Tiles are made batch by batch; the features do not depend on the order of the spots. They are not scaled: the models
    do that themselves.

    Parameters
    ----------
    adata
        Annotated data of ``n_spots`` spots.
    method
        ``"handcrafted"`` (the default, 99 features a scale; the 26 of colours and stains alone at a scale at which, in
        any slice, a tile is less than 16 pixels of the image wide); ``"self-supervised"`` (128 features a scale; the
        network is trained on all slices of ``adata`` together, so adding a slice changes the features); or the path of
        a folder with a model of timm or transformers, for which ``spotscape[foundation]`` is needed.
    image
        Image of the slice: path of a TIFF, JPEG or PNG file, or an array ``(height, width, 3)``. Several slices:
        ``{slice: image}``, with ``None`` for a slice without an image. If ``None``, the images are those of
        ``adata.uns["spatial"]``, which squidpy and scanpy write, with the names of the slices.
    image_key
        Which image of ``adata.uns["spatial"][slice]["images"]``. If ``None``, ``"hires"``, otherwise ``"lowres"``.
    patches_key
        Key in ``adata.obsm`` of tiles that were cut before, ``(n_spots, n, n, 3)``, or flat with their shape in
        ``adata.uns["patch_shape"]``. Then images and positions are not used.
    slice_key
        Column of ``adata.obs`` that tells the slices apart. ``None`` (the default) means that all spots are of one
        slice.
    spatial_key
        Key in ``adata.obsm`` of the positions x, y in pixels of the full image.
    scale_factor
        Pixels of the image for each pixel of the full image; one number, or ``{slice: number}``. If ``None``, that of
        ``adata.uns["spatial"]`` for its images, and 1 for other images.
    tile_size
        Side of a tile in pixels of the full image; one number, or ``{slice: number}``. If ``None``, the diameter of a
        spot in ``adata.uns["spatial"]``, and where that is not known, the median distance of a spot to its nearest.
    scales
        Multiples of ``tile_size``; each gives its own features. If ``None``, 1 and 2: the spot, and the spot with its
        surroundings. Stored patches have one scale.
    n_pixels
        Side in pixels, at least 16, to which every tile is brought, so that texture means the same in images of
        different resolution. If ``None``, 64, or what the model in the folder was made for.
    stain
        ``"none"`` (the default); ``"slide"``: in each slice haematoxylin and eosin get a fixed mean and standard
        deviation; ``"macenko"``: the stains of each slice are found and replaced by fixed ones
        :cite:p:`Macenko2009`. Both look at one slice at a time.
    key_added
        Key of the answer in ``adata.obsm`` and of its parameters in ``adata.uns``.
    cache_dir
        Folder in which features are kept, a file a slice, named by the content of image and positions and by all that
        decides the numbers, so that a second call only reads. ``None`` (the default) keeps nothing.
    n_jobs
        Number of threads for ``"handcrafted"``; -1 (the default) means all cores. The answer does not depend on it.
    seed
        Seed of ``"self-supervised"``; the other methods draw nothing.
    copy
        Return a copy of ``adata`` that has the answer instead of writing to ``adata``.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obsm[key_added]``
        Features as float32; rows of spots without an image are missing (NaN). ``(n_spots, n_features)``.
    ``.obs[f"{key_added}_present"]``
        Whether the spot lies on an image. ``(n_spots,)``.
    ``.uns[key_added]``
        Names of the features, parameters, and for each slice where its image came from, with a fingerprint.

    Raises
    ------
    FileNotFoundError
        If there is no image at a path.
    ImportError
        If the library of a model is not installed.
    KeyError
        If a key or the image of a slice is missing.
    ValueError
        If an image is damaged, if most spots of a slice lie outside its image, or if an argument is out of range.
        ``adata`` is left as it was.

    Warns
    -----
    UserWarning
        If some spots have no image, or tiles are less than 16 pixels of the image wide.

    Examples
    --------
    >>> sps.pp.image_features(adata, slice_key="slice")
    >>> sps.pp.image_features(adata, image="section.tif", tile_size=200, cache_dir="features")
    >>> sps.pp.image_features(adata, method="models/pathology", stain="macenko", key_added="X_pathology")
    """
    check_choice(stain, STAINS, "stain")
    check_integer(seed, "seed", minimum=0)
    check_integer(n_jobs, "n_jobs", minimum=-1)
    if n_jobs == 0:
        raise ValueError("`n_jobs` is 0; pass the number of threads, or -1 for all cores.")
    folder = model_folder(method)
    n_pixels = checked_pixels(n_pixels, folder)
    if patches_key is not None and scales is not None:
        raise ValueError("`scales` was given, but stored patches have one scale; leave it out.")
    scales = (1.0,) if patches_key is not None else checked_scales(scales)
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
    cache = FeatureCache(cache_dir)
    names = {slide.name: adata.obs_names[slide.spots].to_numpy().astype(str) for slide in slides}
    digests = {slide.name: content_key(slide.digest(), names[slide.name].tolist()) for slide in slides}
    coarse = tuple(any(scale * slide.tile_width < _COARSE for slide in slides) for scale in scales)
    decisive: tuple[Any, ...] = (str(method), stain, scales, n_pixels)
    if folder is not None:
        from spotscape.pp.image._model import model_digest

        decisive = ("model", model_digest(folder), *decisive[1:])
    elif method == "self-supervised":
        from spotscape.pp.image._network import NETWORK_VERSION

        decisive += (NETWORK_VERSION, int(seed), sorted(digests.items()))
    else:
        decisive += (HANDCRAFTED_VERSION, coarse)
    keys = {name: content_key(digest, decisive) for name, digest in digests.items()}
    found = {name: features for name, key in keys.items() if (features := cache.read(key)) is not None}
    missing = [slide for slide in slides if slide.name not in found]
    if missing:
        extractors = (
            [partial(handcrafted_features, colors_only=True) if few else handcrafted_features for few in coarse]
            if method == "handcrafted"
            else [_network(folder, slides, names, stain, scales, n_pixels, seed)] * len(scales)
        )
        n_tiles = sum(len(slide.spots) for slide in missing)
        with tqdm(total=n_tiles, desc="Image features", unit="spot", leave=False, disable=None) as progress:
            for slide in missing:
                pixels = slide.pixels()
                normalize = slide_normalizer(slide, pixels, names[slide.name], stain, n_pixels)
                features = stream_features(
                    slide,
                    pixels,
                    normalize,
                    extractors,
                    scales=scales,
                    n_pixels=n_pixels,
                    # the networks have threads of their own
                    n_jobs=n_jobs if method == "handcrafted" else 1,
                    progress=progress,
                )
                cache.write(keys[slide.name], features)
                found[slide.name] = features

    values = np.full((adata.n_obs, found[slides[0].name].shape[1]), np.nan, dtype=np.float32)
    present = np.zeros(adata.n_obs, dtype=bool)
    for slide in slides:
        values[slide.spots] = found[slide.name]
        present[slide.spots] = True
    _warn(slides, int((~present).sum()), [scale for scale, few in zip(scales, coarse, strict=True) if few], key_added)
    target = adata.copy() if copy else adata
    target.obsm[key_added] = values
    target.obs[f"{key_added}_present"] = present
    target.uns[key_added] = {
        "method": "model" if folder is not None else method,
        **({"model": str(folder)} if folder is not None else {}),
        **({"seed": int(seed)} if method == "self-supervised" else {}),
        "names": _feature_names(method, values.shape[1], scales, coarse),
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
    return target if copy else None


def _network(
    folder: Path | None,
    slides: list[Slide],
    names: dict[str, NDArray[Any]],
    stain: str,
    scales: tuple[float, ...],
    n_pixels: int,
    seed: int,
) -> Extractor:
    """The network of the folder, or one that learns from the tiles of all slides."""
    if folder is not None:
        from spotscape.pp.image._model import load_local_model

        return load_local_model(folder).features
    from spotscape.pp.image._network import N_TILES, encode, train_encoder

    n_spots = sum(len(slide.spots) for slide in slides)
    tiles = []
    for slide in slides:
        pixels = slide.pixels()
        normalize = slide_normalizer(slide, pixels, names[slide.name], stain, n_pixels)
        n_most = max(1, N_TILES * len(slide.spots) // (n_spots * len(scales)))
        spots = spread_over(names[slide.name], n_most)
        tiles += [normalized_tiles(slide, pixels, normalize, spots, scale, n_pixels) for scale in scales]
    return partial(encode, train_encoder(np.concatenate(tiles), seed))


def _feature_names(
    method: str | Path, n_features: int, scales: tuple[float, ...], coarse: tuple[bool, ...]
) -> NDArray[np.str_]:
    numbered = [f"feature {k}" for k in range(n_features // len(scales))]
    all_names = []
    for scale, few in zip(scales, coarse, strict=True):
        names = numbered if method != "handcrafted" else COLOR_NAMES if few else HANDCRAFTED_NAMES
        all_names += [f"{name} ({scale:g}x)" if len(scales) > 1 else name for name in names]
    return np.array(all_names)


def _warn(slides: list[Slide], n_missing: int, coarse: list[float], key_added: str) -> None:
    if n_missing:
        warnings.warn(
            f"{n_missing} spots have no image; their rows of `obsm[{key_added!r}]` are missing, see "
            f"`obs['{key_added}_present']`.",
            stacklevel=3,
        )
    if coarse:
        width = min(coarse) * min(slide.tile_width for slide in slides)
        warnings.warn(
            f"Tiles of scale {', '.join(f'{scale:g}' for scale in coarse)} are {width:.1f} or more pixels of the image "
            f"wide; below {_COARSE} there are colours and no texture.",
            stacklevel=3,
        )
