"""Patches that were cut before and are stored in the AnnData."""

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray

from spotscape.pp.image._tiles import as_rgb


def stored_patches(adata: AnnData, patches_key: str) -> NDArray[np.uint8]:
    """Read the patches of all spots, flat ones in the shape that ``uns["patch_shape"]`` has. ``(n_spots, n, n, 3)``."""
    if patches_key not in adata.obsm:
        raise KeyError(f"`patches_key` is {patches_key!r}, which is not in `adata.obsm`; there are {list(adata.obsm)}.")
    patches = np.asarray(adata.obsm[patches_key])
    if patches.ndim == 2:
        if "patch_shape" not in adata.uns:
            raise KeyError(
                f"`adata.obsm[{patches_key!r}]` is flat; set `adata.uns['patch_shape']` to (height, width, 3)."
            )
        shape = tuple(int(length) for length in adata.uns["patch_shape"])
        if int(np.prod(shape)) != patches.shape[1]:
            raise ValueError(
                f"`adata.obsm[{patches_key!r}]` has {patches.shape[1]} columns, which `adata.uns['patch_shape']` = "
                f"{shape} does not give; correct the shape."
            )
        patches = patches.reshape(len(patches), *shape)
    if patches.ndim != 4 or patches.shape[1] != patches.shape[2]:
        raise ValueError(f"The patches have shape {patches.shape[1:]}; pass squares, (n_pixels, n_pixels, 3) each.")
    return as_rgb(patches, f"`adata.obsm[{patches_key!r}]`")
