"""What spots are told apart in: annotated sections in files, with their image or without, and the simulation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import _integration_cases as integration
import anndata
import numpy as np
import pandas as pd
from _sections import Keys, Source, find_sections, load_section
from anndata import AnnData

import spotscape as sps

N_SLICES, N_SPOTS = 4, 400
SYNTHETIC = {"simulation, strong": "strong", "simulation, none": "none"}
IMAGE, STORED = "X_image", "image_features"


@dataclass(frozen=True)
class Case:
    """Sections of files, or a simulation where there are none; with an image, or expression alone."""

    name: str
    files: tuple[str, ...] = ()
    has_image: bool = False


@dataclass(frozen=True)
class Data:
    """All spots with expression, positions, slices and perhaps an image, and the labels of those that have one."""

    adata: AnnData
    slice_key: str
    size_factor_key: str | None
    labels: np.ndarray
    is_annotated: np.ndarray

    @property
    def slices(self) -> np.ndarray:
        """Slice of each spot."""
        return self.adata.obs[self.slice_key].to_numpy(str)

    @property
    def n_kinds(self) -> int:
        """Number of labels."""
        return len(np.unique(self.labels))


def find_cases(transfer: Sequence[str], image: Sequence[str], *, simulation: bool) -> list[Case]:
    """Read ``NAME=A.h5ad,B.h5ad`` of sections without and with an image into cases, and add the simulations."""
    cases = []
    for texts, has_image in ((transfer, False), (image, True)):
        for text in texts:
            name, separator, files = text.partition("=")
            if not (name and separator and files):
                raise ValueError(f"The case is {text!r}; write NAME=A.h5ad,B.h5ad.")
            cases.append(Case(name, tuple(files.split(",")), has_image))
    cases += [Case(name, has_image=True) for name in SYNTHETIC if simulation]
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise ValueError(f"Two cases have one name: {', '.join(names)}.")
    return cases


def as_integration(case: Case, keys: Keys) -> integration.Case:
    """Return the case as the integration benchmark has it, whose methods read it."""
    return integration.find_cases([f"{case.name}={','.join(case.files)}"], keys, synthetic=False)[0]


@lru_cache(maxsize=1)
def load_case(case: Case, keys: Keys, seed: int) -> Data:
    """Read the sections, or draw the simulation of a seed."""
    if not case.files:
        adata = sps.datasets.synthetic_modalities(N_SLICES, N_SPOTS, batch_effect=SYNTHETIC[case.name], seed=seed)
        return Data(adata, "slice", None, adata.obs["kind"].to_numpy(str), np.ones(adata.n_obs, dtype=bool))
    section = load_section(_source(case, keys), keys)
    adata = section.adata.copy()
    if case.has_image:
        adata.obsm[IMAGE] = _image(case.files, keys.slice, tuple(adata.obs_names))
    return Data(adata, section.slice_key, section.size_factor_key, section.labels, section.is_annotated)


def _source(case: Case, keys: Keys) -> Source:
    # All annotated slices of the files together; a single one by itself.
    source = as_integration(case, keys).source if len(case.files) > 1 else None
    return source or find_sections(case.files, [], keys)[-1]


@lru_cache(maxsize=2)
def _image(files: tuple[str, ...], slice_key: str, names: tuple[str, ...]) -> np.ndarray:
    """Image features that the files hold, or that their images give."""
    tables = []
    for file in files:
        one = anndata.read_h5ad(file)
        if STORED not in one.obsm:
            sps.pp.image_features(one, slice_key=slice_key, key_added=STORED)
        table = pd.DataFrame(np.asarray(one.obsm[STORED]), index=one.obs_names)
        # Names that files share are joined with the slice when sections are read together.
        tables += [table, table.set_index(table.index + "-" + one.obs[slice_key].astype(str).to_numpy())]
    every = pd.concat(tables)
    return every[~every.index.duplicated()].loc[list(names)].to_numpy()
