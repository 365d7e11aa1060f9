"""Annotated sections in files: which there are, and one of them with its labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

import spotscape as sps
from benchmarks.common.sections import KNOWN_TOGETHER, AnnotatedFile, Group, find_file, known_files


@dataclass(frozen=True)
class Keys:
    """Where the annotations are, and which labels stand for none."""

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
    keys: Keys = Keys()


@dataclass(frozen=True, eq=False)
class Section:
    """All spots of a section, and the annotation of those that have one.

    Sections are compared by identity, so that representations can be kept for the section that is at work.
    """

    adata: AnnData
    is_annotated: np.ndarray
    labels: np.ndarray
    slice_key: str = "slice"
    size_factor_key: str | None = None
    #: Neighbours among the annotated spots; ``None`` where no boundaries are scored.
    graph: sparse.csr_matrix | None = None

    @property
    def n_domains(self) -> int:
        """Number of labels."""
        return len(np.unique(self.labels))

    @property
    def slices(self) -> np.ndarray:
        """Slice of each spot. ``(n_spots,)``."""
        return self.adata.obs[self.slice_key].to_numpy(str)

    @property
    def annotated_slices(self) -> np.ndarray:
        """Slice of each annotated spot. ``(n_annotated,)``."""
        return self.slices[self.is_annotated]

    @property
    def labels_of_all(self) -> np.ndarray:
        """Label of each spot, ``None`` where it has none. ``(n_spots,)``."""
        labels = np.full(self.adata.n_obs, None, dtype=object)
        labels[self.is_annotated] = self.labels
        return labels


def find_sections(files: Sequence[str], joint: Sequence[Sequence[str]], keys: Keys) -> list[Source]:
    """List the sections that the files hold.

    Parameters
    ----------
    files
        Paths. Each annotated slice is a section; those of a file are also one together. A slice with fewer than two
        labels is none.
    joint
        Groups of paths, whose annotated slices are one section together.
    keys
        Columns of all files.

    Raises
    ------
    ValueError
        If a file has no annotation, a group fewer than two annotated slices, or two sections would have one name.
    """
    sources = []
    for file in files:
        slices, n_slices = annotated_slices(file, keys)
        stem = Path(file).stem
        sources += [Source(stem if n_slices == 1 else f"{stem} {name}", (file,), (name,), keys) for name in slices]
        if len(slices) > 1:
            sources.append(Source(f"{stem} joint", (file,), tuple(slices), keys))
    for group in joint:
        slices = [name for file in group for name in annotated_slices(file, keys)[0]]
        if len(slices) < 2:
            raise ValueError(f"{','.join(group)} has {len(slices)} annotated slice(s); it takes at least two.")
        sources.append(Source(" + ".join(Path(file).stem for file in group), tuple(group), tuple(slices), keys))
    check_names(sources)
    return sources


def check_names(sources: Sequence[Any]) -> None:
    """Raise ``ValueError`` where two sections or cases have one name."""
    names = [source.name for source in sources]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"Two sections would be called {twice[0]!r}; rename one of them.")


def is_joint(section: str) -> bool:
    """Whether a section is of several slices, by the name that :func:`find_sections` has given it."""
    return section.endswith(" joint") or " + " in section


def find_known_sections(group: Group) -> list[Source]:
    """List the sections of the known files of a group, each with the columns that the table of files names."""
    files = known_files(group)
    there = {known.file: known for known in files}
    sources = [source for known in files for source in find_sections([find_file(known.file)], [], keys_of(known))]
    for names in KNOWN_TOGETHER:
        if all(name in there for name in names):
            sources += find_sections([], [[find_file(name) for name in names]], keys_of(there[names[0]]))
    check_names(sources)
    return sources


def keys_of(known: AnnotatedFile) -> Keys:
    """Columns of a known file."""
    return Keys(known.label_key, size_factor=known.size_factor_key, dropped=known.dropped)


@lru_cache(maxsize=1)
def load_section(source: Source) -> Section:
    """Read a section, without all that neither model nor metrics need."""
    keys = source.keys
    # Files without the default column are one slice each; a column that was asked for must be there.
    everything = sps.io.read_sections(source.paths, slice_key=None if keys.slice == Keys.slice else keys.slice)
    everything = everything[everything.obs[keys.slice].astype(str).isin(source.slices)]
    size_factor_key = keys.size_factor if keys.size_factor in everything.obs else None
    columns = [keys.slice, *([size_factor_key] if size_factor_key else [])]
    adata = AnnData(
        everything.X.copy(), obs=everything.obs[columns].copy(), var=pd.DataFrame(index=everything.var_names)
    )
    adata.obs[keys.slice] = pd.Categorical(adata.obs[keys.slice].astype(str))
    adata.obsm["spatial"] = np.asarray(everything.obsm["spatial"])
    labels = known_labels(everything.obs[keys.label], keys.dropped)
    is_annotated = labels.notna().to_numpy()
    # Boundaries are those of the six nearest spots for all methods, whatever graph a model sees.
    lattice = AnnData(obs=adata.obs[[keys.slice]].copy(), obsm={"spatial": adata.obsm["spatial"]})
    sps.pp.spatial_neighbors(lattice, slice_key=keys.slice, n_neighbors=6)
    return Section(
        adata=adata,
        is_annotated=is_annotated,
        labels=labels[is_annotated].to_numpy(str),
        slice_key=keys.slice,
        size_factor_key=size_factor_key,
        graph=sparse.csr_matrix(lattice.obsp["spatial_connectivities"])[is_annotated][:, is_annotated],
    )


def known_labels(labels: pd.Series, dropped: Sequence[str]) -> pd.Series:
    """Labels as objects, missing where they are dropped ones."""
    labels = labels.astype(object)
    return labels.where(labels.notna() & ~labels.isin(dropped))


def read_counts(path: str) -> AnnData:
    """Read a file whose column ``slice`` is that of the file's name where it has none."""
    adata = anndata.read_h5ad(path)
    if "slice" not in adata.obs:
        adata.obs["slice"] = Path(path).stem
    return adata


def annotated_slices(file: str, keys: Keys) -> tuple[list[str], int]:
    """Names of the slices of a file with at least two labels, and the number of all its slices."""
    obs = anndata.read_h5ad(file, backed="r").obs
    if keys.label not in obs:
        raise ValueError(f"{file} has no obs[{keys.label!r}]; give the column with the annotation by --label-key.")
    slices = obs[keys.slice].astype(str) if keys.slice in obs else pd.Series(Path(file).stem, index=obs.index)
    n_labels = known_labels(obs[keys.label], keys.dropped).groupby(slices).nunique()
    return [str(name) for name in n_labels.index[n_labels > 1]], len(n_labels)
