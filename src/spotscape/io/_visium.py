"""Readers of Space Ranger output: Visium and Visium HD."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from PIL import Image

from spotscape._images import picture_as_rgb
from spotscape.io._recognise import Source, find_one, find_positions
from spotscape.io._refusals import UnreadableError, explained
from spotscape.io._tables import locate, read_matrix, read_table

#: Columns of the positions, in files without a header.
_COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
#: Names of the coordinates in tables of positions, x first.
_AXES = (
    ("pxl_col_in_fullres", "pxl_row_in_fullres"),
    ("x", "y"),
    ("x_centroid", "y_centroid"),
    ("center_x", "center_y"),
    ("imagecol", "imagerow"),
)
# `spot_diameter_fullres` is the diameter of this circle in pixels, not that of the 55 micrometres of a spot.
_SPOT_MICROMETRES = 65.0


def read_visium(source: Source, library: str, *, all_features: bool, off_tissue: bool) -> AnnData:
    """Read a folder of Space Ranger, or another 10x matrix with a table of positions.

    Parameters
    ----------
    source
        Matrix and positions.
    library
        Key of the images in ``uns["spatial"]``.
    all_features
        Keep features that are not genes.
    off_tissue
        Keep spots outside the tissue.

    Returns
    -------
    Counts, ``obsm["spatial"]`` in pixels of the full-resolution image, and images and scale factors in the layout of
    scanpy.
    """
    if source.matrix is None or source.positions is None:
        raise UnreadableError(
            f"{source.matrix or source.path} has no positions beside it (`spatial/tissue_positions.csv` of Space "
            "Ranger, or a table with barcodes, x and y); put them there, or write an .h5ad with `obsm['spatial']`."
        )
    raw = source.matrix.name.removesuffix(".h5").endswith("raw_feature_bc_matrix")
    if raw:
        warnings.warn(
            f"{source.path} is read from its raw matrix ({source.matrix.name}), not from the filtered one"
            + ("; spots outside the tissue are in it." if off_tissue else "; spots outside the tissue are left out."),
            UserWarning,
            stacklevel=2,
        )
    adata = read_matrix(source.matrix, all_features=all_features)
    table, axes = _read_positions(source.positions)
    adata = locate(adata, table, list(axes), str(source.positions))
    images = _read_images(source.positions.parent, source.matrix)
    factors = images["scalefactors"]
    if not off_tissue and "in_tissue" in adata.obs:
        adata = _on_tissue(adata, source, filtered_bins="bin_size_um" in factors and not raw)
    if images["images"] or factors:
        adata.uns["spatial"] = {library: images}
    if axes == _AXES[0]:
        unit: dict[str, Any] = {"unit": "pixel"}
        if "microns_per_pixel" in factors:
            unit["micrometres_per_unit"] = float(factors["microns_per_pixel"])
        elif factors.get("spot_diameter_fullres"):
            unit["micrometres_per_unit"] = _SPOT_MICROMETRES / float(factors["spot_diameter_fullres"])
        adata.uns["spatial_units"] = {library: unit}
    return adata


def choose_bins(source: Source, bin_size: int | None) -> Source:
    """Folder of one bin size of Visium HD output.

    Raises
    ------
    UnreadableError
        If there is none of this size, or there are several and none was asked for.
    """
    folders = {
        int(match[1]): folder
        for folder in sorted(source.path.iterdir())
        if (match := re.fullmatch(r"square_(\d+)um", folder.name)) and folder.is_dir()
    }
    sizes = ", ".join(map(str, folders))
    if not folders:
        raise UnreadableError(f"{source.path} has no bins (`square_008um`); copy the whole folder.")
    if bin_size is None and len(folders) > 1:
        raise UnreadableError(
            f"{source.path} has bins of {sizes} micrometres; say which ones to read, such as "
            f"`bin_size={8 if 8 in folders else next(iter(folders))}`."
        )
    if bin_size is not None and bin_size not in folders:
        raise UnreadableError(f"`bin_size` is {bin_size}, but {source.path} has bins of {sizes} micrometres.")
    folder = folders[next(iter(folders)) if bin_size is None else bin_size]
    names = [f"{kind}_feature_bc_matrix{end}" for kind in ("filtered", "raw") for end in (".h5", "")]
    matrix = find_one(folder, *names)
    if matrix is None:
        raise UnreadableError(f"{folder} has no matrix; put `filtered_feature_bc_matrix.h5` into it.")
    return Source("visium", folder, matrix, find_positions(folder))


def _read_positions(path: Path) -> tuple[pd.DataFrame, tuple[str, str]]:
    """Positions by barcode, and the columns with x and y."""
    table = read_table(path, ("barcode", "barcodes"))
    columns = [str(name) for name in table.columns]
    # The older form has no header, so that its first row was taken for one.
    if len(columns) == len(_COLUMNS) and re.fullmatch(r"[01](\.\d+)?", columns[1]):
        with explained(path, "a table of positions"):
            table = pd.read_csv(path, header=None, names=_COLUMNS, dtype={"barcode": str})
        columns = _COLUMNS
    axes = next((axes for axes in _AXES if set(axes) <= set(columns)), None)
    if axes is None or table.empty:
        raise UnreadableError(
            f"{path} has the columns {', '.join(map(repr, columns[:8]))} and {len(table)} rows; a table of positions "
            "has barcodes and the columns 'x' and 'y', or those of Space Ranger."
        )
    ids = next((name for name in ("barcode", "barcodes") if name in columns), table.columns[0])
    return table.set_index(ids), axes


def _on_tissue(adata: AnnData, source: Source, *, filtered_bins: bool) -> AnnData:
    """Spots on tissue. The filtered matrix of Visium HD has no others, whatever the positions say."""
    inside = adata.obs["in_tissue"].astype(int).to_numpy() == 1
    if inside.all():
        return adata
    if filtered_bins:
        warnings.warn(
            f"{int((~inside).sum())} of {len(inside)} bins of {source.path} are in the filtered matrix but marked as "
            "outside the tissue; they are kept, and `obs['in_tissue']` tells them apart.",
            UserWarning,
            stacklevel=3,
        )
        return adata
    if not inside.any():
        raise UnreadableError(f"{source.path} has no spot on tissue; `off_tissue=True` reads the others.")
    return adata[inside].copy()


def _read_images(folder: Path, matrix: Path) -> dict[str, Any]:
    """Images, scale factors and metadata, in scanpy's layout; what a folder lacks is left out."""
    images = {}
    for resolution in ("hires", "lowres"):
        path = folder / f"tissue_{resolution}_image.png"
        if path.is_file():
            with explained(path, "an image"), Image.open(path) as image:
                images[resolution] = _as_rgb(image)
    factors: dict[str, float] = {}
    path = folder / "scalefactors_json.json"
    if path.is_file():
        with explained(path, "the scale factors of Space Ranger"):
            stored = json.loads(path.read_text())
            factors = {name: float(value) for name, value in stored.items() if value is not None}
    metadata = {}
    if matrix.is_file():
        with h5py.File(matrix, "r") as file:
            for name in ("chemistry_description", "software_version"):
                if name in file.attrs:
                    value = file.attrs[name]
                    metadata[name] = value.decode() if isinstance(value, bytes) else str(value)
    return {"images": images, "scalefactors": factors, "metadata": metadata}


def _as_rgb(picture: Image.Image) -> np.ndarray:
    """Pixels with three channels. 16-bit images keep their values, which Pillow would clip at 255."""
    if not picture.mode.startswith("I"):
        return picture_as_rgb(picture)
    return np.repeat(np.asarray(picture).astype(np.uint16)[..., None], 3, axis=2)
