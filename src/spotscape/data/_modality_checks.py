"""What is checked of data with one or two modalities before anything is registered or written."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape.data._modality_fields import aligned, as_matrix
from spotscape.data._setup_checks import check_setup
from spotscape.graph._checks import check_coordinates


def check_modalities(
    adata: AnnData,
    *,
    rna_key: str | None,
    image: AnnData | None,
    image_key: str | None,
    values: str,
    slice_key: str | None,
    spatial_key: str,
    size_factor_key: str | None,
) -> str | None:
    """Raise, in one sentence that says what to do, if the data cannot be set up; nothing is changed.

    Parameters
    ----------
    adata
        Expression, slices and positions.
    image
        What holds the image features, which is ``adata`` itself unless the data is a MuData. ``None``: nothing does.
    rna_key, image_key, values, slice_key, spatial_key, size_factor_key
        As in :meth:`spotscape.AESTETIK.setup_anndata`.

    Returns
    -------
    What the expression is, or ``None`` where it is features in ``obsm``.

    Raises
    ------
    KeyError
        If a key is missing.
    ValueError, TypeError
        If what it names cannot be used.
    """
    kind = None
    in_obsm = rna_key is not None and rna_key in adata.obsm
    if in_obsm and rna_key in adata.layers:
        raise ValueError(f"`rna_key` is {rna_key!r}, which is both a layer and in `adata.obsm`; rename one of them.")
    if rna_key is not None and not in_obsm and rna_key not in adata.layers:
        there = ", ".join(repr(key) for key in [*adata.obsm, *(k for k in adata.layers if k is not None)]) or "nothing"
        raise KeyError(f"`rna_key` is {rna_key!r}, which is no layer and not in `adata.obsm`; there is {there}.")
    if in_obsm:
        if size_factor_key is not None:
            raise ValueError(
                f"`size_factor_key` is {size_factor_key!r}, but `rna_key` names features, which have no library size; "
                "leave it out."
            )
        _check_spots(adata, slice_key, spatial_key)
        _check_features(adata.obsm[rna_key], f"adata.obsm[{rna_key!r}]", adata, adata, slice_key, may_lack=False)
    else:
        kind = check_setup(
            adata,
            layer=rna_key,
            values=values,
            slice_key=slice_key,
            spatial_key=spatial_key,
            size_factor_key=size_factor_key,
        )
    check_coordinates(adata.obsm[spatial_key], None if slice_key is None else adata.obs[slice_key].to_numpy())
    if image is not None:
        if image_key is not None:
            _check_key(image_key, image.obsm.keys(), "obsm", "image_key")
        what = "the `X` of the image modality" if image_key is None else f"obsm[{image_key!r}]"
        given = image.X if image_key is None else image.obsm[image_key]
        if given is None:
            raise ValueError("The image modality has no `X`; name its features in `obsm` by `image_key`.")
        _check_features(given, what, image, adata, slice_key, may_lack=True)
    return kind


def _check_spots(adata: AnnData, slice_key: str | None, spatial_key: str) -> None:
    if adata.n_obs < 2:
        raise ValueError(f"The AnnData has {adata.n_obs} spot(s); windows need at least two.")
    if not adata.obs_names.is_unique:
        raise ValueError("`adata.obs_names` are not unique; call `adata.obs_names_make_unique()`.")
    _check_key(spatial_key, adata.obsm.keys(), "obsm", "spatial_key")
    if slice_key is None:
        return
    _check_key(slice_key, adata.obs, "obs", "slice_key")
    n_missing = int(adata.obs[slice_key].isna().sum())
    if n_missing:
        raise ValueError(
            f"`adata.obs[{slice_key!r}]` has {n_missing} missing value(s); every spot must belong to a slice, so fill "
            "them in or drop those spots."
        )


def _check_features(
    given: object, what: str, holder: AnnData, adata: AnnData, slice_key: str | None, *, may_lack: bool
) -> None:
    try:
        values = as_matrix(given)
    except (TypeError, ValueError) as error:
        raise TypeError(f"The features in {what} are not all numbers; pass numbers only.") from error
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"The features in {what} have shape {values.shape}; pass one row a spot.")
    lacking = np.isnan(values).all(axis=1)
    wrong = ~np.isfinite(values).all(axis=1) & ~(lacking & may_lack)
    if wrong.any():
        raise ValueError(
            f"The features in {what} are missing or infinite in part for {int(wrong.sum())} spot(s); "
            + ("give a spot all features, or NaN for all where it has no image." if may_lack else "drop those spots.")
        )
    if holder is not adata:
        strangers = ~holder.obs_names.isin(adata.obs_names)
        if strangers.any():
            raise ValueError(
                f"{int(strangers.sum())} spot(s) of the image modality, such as {holder.obs_names[strangers][0]!r}, "
                "have no expression; give spots the same names in all modalities, or drop those without expression."
            )
        values = aligned(values, holder.obs_names, adata.obs_names)
    if np.isnan(values).all():
        raise ValueError(f"No spot has features in {what}; leave the image out.")
    # Whether any two spots differ: without that there is nothing to learn from.
    first = values[~np.isnan(values).all(axis=1)][0]
    if not (np.nan_to_num(values - first) != 0).any():
        raise ValueError(f"The features in {what} are the same for all spots; check how they were made.")


def _check_key(key: str, mapping: Collection[str] | pd.DataFrame, attribute: str, argument: str) -> None:
    if key not in mapping:
        there = ", ".join(repr(name) for name in mapping) or "nothing"
        raise KeyError(f"{key!r} is not in `adata.{attribute}`, which holds {there}; see the argument `{argument}`.")
