"""Reading sections from files into one AnnData."""

from collections.abc import Sequence
from pathlib import Path

import anndata
import pandas as pd
from anndata import AnnData


def read_sections(paths: Sequence[str | Path], *, slice_key: str = "slice") -> AnnData:
    """Read sections from ``.h5ad`` files and join them on the genes they have in common.

    Parameters
    ----------
    paths
        Files, each with one section or several.
    slice_key
        Column of ``obs`` with the slice of each spot. A file without it counts as one slice, named as the file.

    Returns
    -------
    All spots and the common genes. Where two files share names of spots, the slice is added to all. Graphs (``obsp``)
    are left out, since they would have to be rebuilt.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If the files have no gene in common, name a gene twice, or share a slice.
    """
    files = [Path(path) for path in paths]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"There is no file {file}.")
    sections = [_read_section(file, slice_key) for file in files]
    if len(sections) == 1:
        return sections[0]
    names = pd.concat([section.obs[slice_key].astype(str).drop_duplicates() for section in sections])
    if names.duplicated().any():
        raise ValueError(
            f"The slice {names[names.duplicated()].iloc[0]!r} is in more than one file; give each slice a name of "
            f"its own in `obs[{slice_key!r}]`."
        )
    if pd.concat([section.obs_names.to_series() for section in sections]).duplicated().any():
        for section in sections:
            section.obs_names = section.obs_names.astype(str) + "-" + section.obs[slice_key].astype(str)
    joined = anndata.concat(sections, join="inner", merge="same", uns_merge=None)
    if joined.n_vars == 0:
        raise ValueError("The files have no gene in common; check that all name genes in the same way.")
    joined.obs[slice_key] = joined.obs[slice_key].astype("category")
    return joined


def _read_section(path: Path, slice_key: str) -> AnnData:
    adata = anndata.read_h5ad(path)
    if not adata.var_names.is_unique:
        name = adata.var_names[adata.var_names.duplicated()][0]
        raise ValueError(f"{path} names the gene {name!r} more than once; make its names unique before joining.")
    if slice_key not in adata.obs:
        adata.obs[slice_key] = pd.Categorical([path.stem] * adata.n_obs)
    for key in list(adata.obsp):
        del adata.obsp[key]
    for key in [key for key in adata.uns if key.endswith("neighbors")]:
        del adata.uns[key]
    return adata
