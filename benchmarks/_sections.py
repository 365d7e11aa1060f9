"""Annotated sections in files: which there are, and one of them with its labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

import spotscape as sps


@dataclass(frozen=True)
class Keys:
    """Where the annotations are, and which labels are none."""

    label: str = "domain"
    slice: str = "slice"
    size_factor: str | None = None
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Files and slices that make up a section."""

    name: str
    paths: tuple[str, ...]
    slices: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """All spots of a section, and the annotation of those that have one."""

    adata: AnnData
    size_factor_key: str | None
    slice_key: str
    is_annotated: np.ndarray
    labels: np.ndarray
    graph: sparse.csr_matrix

    @property
    def n_domains(self) -> int:
        """Number of labels."""
        return len(np.unique(self.labels))

    @property
    def slices(self) -> np.ndarray:
        """Slice of each spot."""
        return self.adata.obs[self.slice_key].to_numpy(str)


def find_sections(files: Sequence[str], joint: Sequence[Sequence[str]], keys: Keys) -> list[Source]:
    """Tell which sections the files hold; a slice with fewer than two labels is none."""
    sources = []
    for file in files:
        slices, n_slices = _annotated_slices(file, keys)
        stem = Path(file).stem
        sources += [Source(stem if n_slices == 1 else f"{stem} {name}", (file,), (name,)) for name in slices]
        if len(slices) > 1:
            sources.append(Source(f"{stem} joint", (file,), tuple(slices)))
    for group in joint:
        slices = [name for file in group for name in _annotated_slices(file, keys)[0]]
        if len(slices) < 2:
            raise ValueError(f"--joint {','.join(group)} has {len(slices)} annotated slice(s); it takes at least two.")
        sources.append(Source(" + ".join(Path(file).stem for file in group), tuple(group), tuple(slices)))
    names = [source.name for source in sources]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"Two sections would be called {twice[0]!r}; rename one of the files.")
    return sources


@lru_cache(maxsize=1)
def load_section(source: Source, keys: Keys) -> Section:
    """Read a section, without all that neither model nor metrics need."""
    everything = sps.io.read_sections(source.paths, slice_key=keys.slice)
    everything = everything[everything.obs[keys.slice].astype(str).isin(source.slices)]
    size_factor_key = keys.size_factor if keys.size_factor in everything.obs else None
    columns = [keys.slice, *([size_factor_key] if size_factor_key else [])]
    adata = AnnData(
        everything.X.copy(), obs=everything.obs[columns].copy(), var=pd.DataFrame(index=everything.var_names)
    )
    adata.obs[keys.slice] = pd.Categorical(adata.obs[keys.slice].astype(str))
    adata.obsm["spatial"] = np.asarray(everything.obsm["spatial"])
    labels = _known_labels(everything.obs[keys.label], keys)
    is_annotated = labels.notna().to_numpy()
    # Boundaries are those of the six nearest spots for all methods, whatever graph a model sees.
    lattice = AnnData(obs=adata.obs[[keys.slice]].copy(), obsm={"spatial": adata.obsm["spatial"]})
    sps.pp.spatial_neighbors(lattice, slice_key=keys.slice, n_neighbors=6)
    return Section(
        adata=adata,
        size_factor_key=size_factor_key,
        slice_key=keys.slice,
        is_annotated=is_annotated,
        labels=labels[is_annotated].to_numpy(str),
        graph=sparse.csr_matrix(lattice.obsp["spatial_connectivities"])[is_annotated][:, is_annotated],
    )


def _annotated_slices(file: str, keys: Keys) -> tuple[list[str], int]:
    obs = anndata.read_h5ad(file, backed="r").obs
    if keys.label not in obs:
        raise ValueError(f"{file} has no obs[{keys.label!r}]; give the column with the annotation by --label-key.")
    slices = obs[keys.slice].astype(str) if keys.slice in obs else pd.Series(Path(file).stem, index=obs.index)
    labels = _known_labels(obs[keys.label], keys)
    n_labels = labels.groupby(slices).nunique()
    return [str(name) for name in n_labels.index[n_labels > 1]], len(n_labels)


def _known_labels(labels: pd.Series, keys: Keys) -> pd.Series:
    labels = labels.astype(object)
    return labels.where(labels.notna() & ~labels.isin(keys.dropped))
