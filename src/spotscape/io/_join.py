"""Joining sections into one AnnData, without losing anything in silence."""

import warnings
from collections.abc import Sequence

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._constants import MEASURED_SLICES_KEY
from spotscape._slices import slice_names
from spotscape.io._genes import check_gene_names, measured_genes, shared_genes
from spotscape.io._join_frames import join_columns, join_genes
from spotscape.io._join_uns import by_slice, join_uns

JOINS = ("inner", "outer")


def join_sections(sections: list[AnnData], files: Sequence[str], *, slice_key: str, join: str) -> AnnData:
    """Join sections; see :func:`spotscape.io.read_sections`.

    Parameters
    ----------
    sections
        Sections with unique gene names and the column ``slice_key``. They are changed.
    files
        File of each section, for messages.
    slice_key
        Column of ``obs`` with the slice of each spot.
    join
        ``"inner"`` or ``"outer"``.

    Returns
    -------
    The joined sections; a single one as it is, but with arrays as coordinates and the units by slice.
    """
    for section, file in zip(sections, files, strict=True):
        _unpack_coordinates(section, file)
    slices = [_slice_names(section, file, slice_key) for section, file in zip(sections, files, strict=True)]
    for section, names in zip(sections, slices, strict=True):
        by_slice(section, "spatial_units", names)
    if len(sections) == 1:
        return sections[0]
    _check_slice_names(slices, files, slice_key)
    check_gene_names([section.var_names for section in sections], files)
    _check_coordinates(sections, files)
    _keep_common_entries(sections, files)
    for section, of_file in zip(sections, slices, strict=True):
        by_slice(section, "spatial", of_file)
        section.obs[slice_key] = pd.Categorical(slice_names(section.obs[slice_key]).astype(str), of_file)
    if pd.concat([section.obs_names.to_series() for section in sections]).duplicated().any():
        for section in sections:
            section.obs_names = section.obs_names.astype(str) + "-" + section.obs[slice_key].astype(str)

    measured = [measured_genes(section, of_file) for section, of_file in zip(sections, slices, strict=True)]
    genes = shared_genes([section.var_names for section in sections], files, join)
    obs = join_columns([section.obs for section in sections], files)
    var = join_genes([section.var for section in sections], files, genes)
    uns = join_uns(sections, files, obs)
    bare = [_only_matrices(section) for section in sections]
    joined = anndata.concat(bare, join=join, merge=None, uns_merge=None, fill_value=0)
    if not joined.var_names.equals(genes):
        joined = joined[:, genes].copy()
    joined.obs, joined.var = obs, var
    for key, value in uns.items():
        joined.uns[key] = value
    table = pd.concat([mask.reindex(genes, fill_value=False) for mask in measured], axis=1)
    if join == "outer" or not table.to_numpy().all():
        joined.varm[MEASURED_SLICES_KEY] = table
    return joined


def _slice_names(section: AnnData, file: str, slice_key: str) -> list[str]:
    column = section.obs[slice_key]
    n_missing = int(column.isna().sum())
    if n_missing:
        raise ValueError(
            f"`obs[{slice_key!r}]` of {file} is missing for {n_missing} spots; assign each spot to a slice."
        )
    return list(slice_names(column).cat.categories)


def _unpack_coordinates(section: AnnData, file: str) -> None:
    """Coordinates as an array; a data frame of numbers becomes one, and keeps the order of its columns."""
    coordinates = section.obsm.get("spatial")
    if not isinstance(coordinates, pd.DataFrame):
        return
    try:
        values = coordinates.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`obsm['spatial']` of {file} has columns that are not numbers ({list(coordinates.columns)}); store the "
            "coordinates alone."
        ) from error
    section.obsm["spatial"] = values


def _check_slice_names(slices: Sequence[Sequence[str]], files: Sequence[str], slice_key: str) -> None:
    """Raise ``ValueError`` if two files have a slice of the same name."""
    first: dict[str, str] = {}
    for of_file, file in zip(slices, files, strict=True):
        for name in of_file:
            if name in first:
                raise ValueError(
                    f"Slice {name!r} is in {first[name]} and in {file}; give each slice a unique name in "
                    f"`obs[{slice_key!r}]`, or remove this column from files with one slice each, which then have the "
                    "names of the files."
                )
        first |= dict.fromkeys(of_file, file)


def _check_coordinates(sections: list[AnnData], files: Sequence[str]) -> None:
    """All files must have coordinates of as many axes; a third axis without values is left out."""
    lacking = [i for i, section in enumerate(sections) if "spatial" not in section.obsm]
    if len(lacking) == len(sections):
        return
    if lacking:
        there = list(sections[lacking[0]].obsm) or "nothing"
        raise ValueError(
            f"{files[lacking[0]]} has no coordinates in `obsm['spatial']` (it has {there}), but other files do; store "
            "its coordinates under this key."
        )
    n_axes = [section.obsm["spatial"].shape[1] for section in sections]
    if len(set(n_axes)) == 1:
        return
    flat = next(i for i, n in enumerate(n_axes) if n == min(n_axes))
    for i, section in enumerate(sections):
        if n_axes[i] == n_axes[flat]:
            continue
        further = np.asarray(section.obsm["spatial"])[:, n_axes[flat] :]
        if np.ptp(further, axis=0).any():
            raise ValueError(
                f"The coordinates of {files[flat]} have {n_axes[flat]} axes and those of {files[i]} have {n_axes[i]}; "
                "store coordinates with the same number of axes in all files."
            )
        warnings.warn(
            f"The coordinates of {files[flat]} have {n_axes[flat]} axes and those of {files[i]} have {n_axes[i]}; the "
            "third axis, which is the same for all its spots, is left out.",
            UserWarning,
            stacklevel=4,
        )
        section.obsm["spatial"] = np.asarray(section.obsm["spatial"])[:, : n_axes[flat]]


def _keep_common_entries(sections: list[AnnData], files: Sequence[str]) -> None:
    """Remove what only some files have, and name it."""
    with_x = [section.X is not None for section in sections]
    if len(set(with_x)) > 1:
        raise ValueError(f"{files[with_x.index(False)]} has no expression in `X`, but other files do; store it there.")
    lost: list[str] = []
    for attribute in ("layers", "obsm"):
        # Newer AnnData lists `X` among the layers, under no name.
        keys = dict.fromkeys(key for section in sections for key in getattr(section, attribute) if key is not None)
        for key in keys:
            lacking = [
                file for section, file in zip(sections, files, strict=True) if key not in getattr(section, attribute)
            ]
            reason = f"not in {_listed(lacking)}" if lacking else ""
            if attribute == "obsm" and not lacking:
                reason = _unify_obsm(sections, key)
            if reason:
                lost.append(f"`{attribute}[{key!r}]` ({reason})")
                for section in sections:
                    getattr(section, attribute).pop(key, None)
    lacking = [file for section, file in zip(sections, files, strict=True) if section.raw is None]
    if lacking and len(lacking) < len(sections):
        lost.append(f"`raw` (not in {_listed(lacking)})")
        for section in sections:
            section.raw = None
    # Loadings and other entries of genes belong to the analysis of one file.
    varm = dict.fromkeys(key for section in sections for key in section.varm if key != MEASURED_SLICES_KEY)
    lost += [f"`varm[{key!r}]`" for key in varm]
    if lost:
        warnings.warn(
            f"What cannot be joined is left out: {', '.join(lost)}.",
            UserWarning,
            stacklevel=4,
        )


def _unify_obsm(sections: list[AnnData], key: str) -> str:
    """Make the entries of a key joinable; return why they are not, or an empty text."""
    entries = [section.obsm[key] for section in sections]
    frames = [isinstance(entry, pd.DataFrame) for entry in entries]
    if all(frames) and all(list(entry.columns) == list(entries[0].columns) for entry in entries):
        return ""
    shapes = {entry.shape[1:] for entry in entries}
    if len(shapes) > 1:
        return f"of different widths: {', '.join(str(entry.shape[1]) for entry in entries)}"
    for section, entry, frame in zip(sections, entries, frames, strict=True):
        if frame:
            section.obsm[key] = entry.to_numpy()
    return ""


def _only_matrices(section: AnnData) -> AnnData:
    """The section without columns, which are joined apart."""
    bare = AnnData(
        section.X,
        obs=pd.DataFrame(index=section.obs_names),
        var=pd.DataFrame(index=section.var_names),
        layers={key: value for key, value in section.layers.items() if key is not None},
        obsm=dict(section.obsm),
    )
    if section.raw is not None:
        bare.raw = section.raw.to_adata()
    return bare


def _listed(files: list[str]) -> str:
    return ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
