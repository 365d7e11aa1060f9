"""Checks of data before anything is registered or written."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._constants import MEASURED_KEY, MEASURED_SLICES_KEY
from spotscape._places import Places
from spotscape._slices import slice_names
from spotscape._validate import check_present, is_key
from spotscape.data._findings import Findings
from spotscape.data._slice_checks import check_marked_genes, check_slices, how_to_keep_measured, note_mixed_sections
from spotscape.graph._checks import as_positions, check_coordinates
from spotscape.preprocessing._row_blocks import row_blocks
from spotscape.preprocessing._value_summary import summarize_values
from spotscape.preprocessing._values import Values, check_size_factors, check_values

#: Median ratio of size factors to totals from which they may be totals, of counts that were corrected since.
_MIN_SIZE_FACTOR = 0.5


def check_spots(adata: AnnData, slice_key: str | None, spatial_key: str, findings: Findings) -> pd.Series | None:
    """Check the names, coordinates and slices of the spots.

    Parameters
    ----------
    adata
        AnnData, which is not changed.
    slice_key, spatial_key
        As in :meth:`spotscape.SPOTSCAPE.setup_anndata`.
    findings
        Receives what is noticed.

    Returns
    -------
    Slice of each spot, categorical. ``None`` if no slices are given.

    Raises
    ------
    KeyError
        If a key is missing.
    ValueError, TypeError
        If the data cannot be used.
    """
    if not isinstance(adata.obs, pd.DataFrame):
        raise TypeError(
            "The spots of the AnnData (`adata.obs`) are still in a file; read it with "
            "`spotscape.io.read_sections(paths, lazy=True)`, which leaves the expression there and loads the rest."
        )
    if adata.isbacked and adata.is_view:
        raise ValueError("The AnnData is a view of one in a file; load it into memory with `adata.to_memory()`.")
    if adata.n_obs < 2:
        raise ValueError(f"The AnnData has {adata.n_obs} spot(s); a neighbourhood needs at least two.")
    _check_unique(adata.obs_names, "obs")
    check_present(spatial_key, "spatial_key", adata.obsm, "adata.obsm")
    slices = None
    if slice_key is not None:
        check_present(slice_key, "slice_key", adata.obs, "adata.obs")
        n_missing = int(adata.obs[slice_key].isna().sum())
        if n_missing:
            raise ValueError(
                f"`adata.obs[{slice_key!r}]` has {n_missing} missing value(s); every spot must belong to a slice, so "
                "fill them in or drop those spots."
            )
        slices = slice_names(adata.obs[slice_key])
    positions = as_positions(adata.obsm[spatial_key], Places.of(adata, slice_key))
    note_mixed_sections(adata.obs, positions, slice_key, slices, findings)
    return slices


def check_expression(
    adata: AnnData,
    layer: str | None,
    values: str,
    size_factor_key: str | None,
    slice_key: str | None,
    slices: pd.Series | None,
    findings: Findings,
) -> Values:
    """Check the expression of all spots and of each slice, and return its scale.

    Parameters
    ----------
    adata
        AnnData, which is not changed.
    layer, values, size_factor_key, slice_key
        As in :meth:`spotscape.SPOTSCAPE.setup_anndata`.
    slices
        Slice of each spot, categorical, if slices are given.
    findings
        Receives what is noticed.

    Returns
    -------
    ``"counts"``, ``"normalized"`` or ``"log-normalized"``.
    """
    if adata.n_vars == 0:
        raise ValueError("The AnnData has no genes; check how it was subset.")
    _check_unique(adata.var_names, "var")
    if layer is not None:
        check_present(layer, "layer", adata.layers, "adata.layers")
    elif adata.X is None:
        raise ValueError("`adata.X` is empty; name the layer with the counts in `layer`.")
    # One object for all checks, so that the values are read once.
    rows = row_blocks(adata.X if layer is None else adata.layers[layer])
    summary = summarize_values(rows, None if slices is None else slices.cat.codes.to_numpy())
    places = Places.of(adata, slice_key)
    kind = check_values(rows, values, warn=lambda message: findings.note("expression", message), places=places)
    if slices is not None:
        advice = how_to_keep_measured(str(slice_key), layer)
        check_slices(summary, slices, adata.var_names, values, advice, findings)
        if isinstance(marked := adata.varm.get(MEASURED_SLICES_KEY), pd.DataFrame):
            check_marked_genes(marked, slices, advice)
    if size_factor_key is not None:
        check_present(size_factor_key, "size_factor_key", adata.obs, "adata.obs")
        column = adata.obs[size_factor_key]
        if not pd.api.types.is_numeric_dtype(column):
            raise TypeError(
                f"`adata.obs[{size_factor_key!r}]` is of type {column.dtype}; size factors must be numbers."
            )
        given = column.to_numpy(dtype=float)
        factors = check_size_factors(given, summary.totals, kind, key=size_factor_key, places=places)
        _check_level(factors, summary.totals, size_factor_key)
    return kind


def _check_level(factors: np.ndarray, totals: np.ndarray, size_factor_key: str) -> None:
    """Raise if size factors are far below the totals of the genes at hand, whose spots cannot have fewer over all."""
    counted = totals > 0
    ratio = np.median(factors[counted] / totals[counted]) if counted.any() else 1.0
    if ratio < _MIN_SIZE_FACTOR:
        raise ValueError(
            f"`adata.obs[{size_factor_key!r}]` is {ratio:.2g} times the counts of the genes at hand (median); size "
            "factors are the totals of the spots over all genes, so pass those, or leave `size_factor_key` out."
        )


def check_given_features(adata: AnnData, setup_args: Mapping[str, Any], findings: Findings) -> None:
    """Check data whose features are given in ``obsm``, for a model with a spatial graph.

    Parameters
    ----------
    adata
        AnnData, which is not changed.
    setup_args
        Arguments of :meth:`spotscape.SPOTSCAPE.setup_anndata` or ``setup_mudata``.
    findings
        Receives what is noticed.

    Raises
    ------
    KeyError
        If a key is missing.
    ValueError, TypeError
        If the data cannot be used, or an argument is for expression.
    """
    key = setup_args["features_key"]
    check_present(key, "features_key", adata.obsm, "adata.obsm")
    for name, unset in (("layer", None), ("size_factor_key", None), ("values", "auto")):
        if setup_args[name] != unset:
            raise ValueError(
                f"`{name}` is {setup_args[name]!r}, but `features_key` names features, which are used instead of "
                "expression; leave out one of them."
            )
    if key == setup_args["spatial_key"]:
        raise ValueError(f"`features_key` is {key!r}, which holds the coordinates; name the features of the spots.")
    slice_key = setup_args["slice_key"]
    check_spots(adata, slice_key, setup_args["spatial_key"], findings)
    _check_features(adata.obsm[key], f"adata.obsm[{key!r}]", adata, adata, slice_key, may_lack=False)


def check_modalities(
    adata: AnnData, image: AnnData | None, setup_args: Mapping[str, Any], findings: Findings
) -> Values | None:
    """Check data with one or two modalities.

    Parameters
    ----------
    adata
        AnnData with expression, slices and coordinates.
    image
        AnnData with the image features: ``adata`` itself, or a modality of a MuData. ``None``: no image.
    setup_args
        Arguments of :meth:`spotscape.AESTETIK.setup_anndata` or ``setup_mudata``.
    findings
        Receives what is noticed.

    Returns
    -------
    Scale of the expression; ``None`` for features in ``obsm``.

    Raises
    ------
    KeyError
        If a key is missing.
    ValueError, TypeError
        If the data cannot be used.
    """
    rna_key, image_key, size_factor_key = (setup_args[name] for name in ("rna_key", "image_key", "size_factor_key"))
    slice_key, spatial_key = setup_args["slice_key"], setup_args["spatial_key"]
    kind = None
    in_obsm = rna_key is not None and is_key(rna_key, adata.obsm)
    if in_obsm and rna_key in adata.layers:
        raise ValueError(f"`rna_key` is {rna_key!r}, which is both a layer and in `adata.obsm`; rename one of them.")
    if rna_key is not None and not in_obsm and not is_key(rna_key, adata.layers):
        there = ", ".join(repr(key) for key in [*adata.obsm, *(k for k in adata.layers if k is not None)]) or "none"
        raise KeyError(f"`rna_key` is {rna_key!r}, which is no layer and not in `adata.obsm`; available: {there}.")
    if in_obsm and size_factor_key is not None:
        raise ValueError(
            f"`size_factor_key` is {size_factor_key!r}, but `rna_key` names features, which have no library size; "
            "leave it out."
        )
    slices = check_spots(adata, slice_key, spatial_key, findings)
    if in_obsm:
        _check_features(adata.obsm[rna_key], f"adata.obsm[{rna_key!r}]", adata, adata, slice_key, may_lack=False)
    else:
        kind = check_expression(adata, rna_key, setup_args["values"], size_factor_key, slice_key, slices, findings)
    check_coordinates(adata.obsm[spatial_key], None if slice_key is None else adata.obs[slice_key].to_numpy())
    if image is not None:
        if image_key is not None:
            check_present(image_key, "image_key", image.obsm, "adata.obsm")
        what = "the `X` of the image modality" if image_key is None else f"obsm[{image_key!r}]"
        given = image.X if image_key is None else image.obsm[image_key]
        if given is None:
            raise ValueError("The image modality has no `X`; name its features in `obsm` by `image_key`.")
        _check_features(given, what, image, adata, slice_key, may_lack=True)
    return kind


def check_all_measured(adata: AnnData) -> None:
    """Raise ``ValueError`` if ``adata`` was prepared for another model and contains genes that were not measured."""
    if MEASURED_KEY in adata.var and not adata.var[MEASURED_KEY].all():
        raise ValueError(
            "The data was completed with genes that were not measured, for another model; set up the data as it was "
            f"measured, `adata[:, adata.var[{MEASURED_KEY!r}]].copy()`."
        )


def check_genes(expected: np.ndarray, adata: AnnData) -> None:
    """Raise ``ValueError`` unless ``adata`` has the expected genes in the expected order."""
    found = np.asarray(adata.var_names)
    if np.array_equal(found, expected):
        return
    missing = np.setdiff1d(expected, found)
    if len(missing):
        raise ValueError(
            f"{len(missing)} of the {len(expected)} genes of the model are missing from the data, for example "
            f"{', '.join(map(str, missing[:3]))}; call `prepare_query_anndata(adata, model)` first, a method of the "
            "model's class, which completes them."
        )
    raise ValueError(
        "The data has the genes of the model, but in another order or among others; take them with "
        "`adata = adata[:, model.get_var_names()].copy()`, where `model` may be loaded with `adata=False`."
    )


def as_matrix(values: Any) -> np.ndarray:
    """Features as a dense float64 array. Raises ``ValueError`` or ``TypeError`` if they are not numbers."""
    values = values.toarray() if hasattr(values, "toarray") else values
    return np.asarray(values.to_numpy() if isinstance(values, pd.DataFrame) else values, dtype=np.float64)


def in_order_of(wanted: pd.Index, values: np.ndarray, names: pd.Index) -> np.ndarray:
    """Rows of the given spots, NaN for missing ones. ``(len(wanted), n_columns)``."""
    place = names.get_indexer(wanted)
    result = np.full((len(wanted), values.shape[1]), np.nan)
    result[place >= 0] = values[place[place >= 0]]
    return result


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
        first = Places.of(holder, slice_key).spot(int(np.flatnonzero(wrong)[0]))
        raise ValueError(
            f"The features in {what} are missing or infinite in part for {int(wrong.sum())} spot(s), such as {first}; "
            + ("give a spot all features, or NaN for all where it has no image." if may_lack else "drop those spots.")
        )
    if holder is not adata:
        strangers = ~holder.obs_names.isin(adata.obs_names)
        if strangers.any():
            raise ValueError(
                f"{int(strangers.sum())} spot(s) of the image modality, such as {holder.obs_names[strangers][0]!r}, "
                "have no expression; give spots the same names in all modalities, or drop those without expression."
            )
        values = in_order_of(adata.obs_names, values, holder.obs_names)
    if np.isnan(values).all():
        raise ValueError(f"No spot has features in {what}; leave the image out.")
    first = values[~np.isnan(values).all(axis=1)][0]
    if not (np.nan_to_num(values - first) != 0).any():
        raise ValueError(f"The features in {what} are the same for all spots; check how they were made.")


def _check_unique(names: pd.Index, axis: str) -> None:
    if not names.is_unique:
        raise ValueError(
            f"`adata.{axis}_names` are not unique ({names[names.duplicated()][0]!r} occurs more than once); call "
            f"`adata.{axis}_names_make_unique()`."
        )
