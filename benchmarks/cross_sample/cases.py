"""What spots are told apart in: annotated sections in files, with their image or without, and the simulation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import anndata
import numpy as np
import pandas as pd

import spotscape as sps
from benchmarks.common.aestetik import IMAGE
from benchmarks.common.options import NamedFiles
from benchmarks.common.reading import Keys, Section, check_names, find_sections, load_section

N_SLICES, N_SPOTS = 4, 400
SYNTHETIC = {"simulation, strong": "strong", "simulation, none": "none"}
STORED = "image_features"


@dataclass(frozen=True)
class Case:
    """Sections of files, or a simulation where there are none; with an image, or expression alone."""

    name: str
    files: tuple[str, ...] = ()
    has_image: bool = False
    keys: Keys = Keys()


def find_cases(
    expression: Sequence[NamedFiles], image: Sequence[NamedFiles], keys: Keys, *, simulation: bool
) -> list[Case]:
    """Make cases of sections without and with an image, and add the simulations."""
    cases = [Case(name, files, keys=keys) for name, files in expression]
    cases += [Case(name, files, has_image=True, keys=keys) for name, files in image]
    cases += [Case(name, has_image=True) for name in SYNTHETIC if simulation]
    check_names(cases)
    return cases


@lru_cache(maxsize=1)
def load_case(case: Case, seed: int) -> Section:
    """Read the sections, or draw the simulation of a seed."""
    if not case.files:
        adata = sps.datasets.synthetic_modalities(N_SLICES, N_SPOTS, batch_effect=SYNTHETIC[case.name], seed=seed)
        return Section(adata, np.ones(adata.n_obs, dtype=bool), adata.obs["kind"].to_numpy(str))
    # All annotated slices of the files together; a single one by itself.
    several, keys = len(case.files) > 1, case.keys
    sources = find_sections([], [case.files], keys) if several else find_sections(case.files, [], keys)
    section = load_section(sources[-1])
    if not case.has_image:
        return section
    adata = section.adata.copy()
    adata.obsm[IMAGE] = _image(case.files, case.keys.slice, tuple(adata.obs_names))
    return replace(section, adata=adata)


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
