"""What is integrated: annotated sections in files, and made-up tissues whose batch effect is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from anndata import AnnData

import spotscape as sps
from benchmarks.common.options import NamedFiles
from benchmarks.common.reading import Keys, Section, Source, check_names, find_sections, load_section

N_SLICES, N_SPOTS, N_DOMAINS = 3, 800, 7
#: Domains that slices of the last tissue lack, both by their number.
LACKED = {0: (1,), 1: (3,)}
SYNTHETIC = {
    "synthetic, none": {"batch_effect": "none"},
    "synthetic, strong": {"batch_effect": "strong"},
    "synthetic, strong, domains missing": {"batch_effect": "strong", "missing_domains": LACKED},
}


@dataclass(frozen=True)
class Case:
    """Slices to integrate: those of a source, or a made-up tissue where there is none."""

    name: str
    source: Source | None = None


def find_cases(named: Sequence[NamedFiles], keys: Keys, *, synthetic: bool) -> list[Case]:
    """Make cases of all annotated slices of the files of a name, and add the made-up tissues."""
    sources = [replace(find_sections([], [files], keys)[0], name=name) for name, files in named]
    cases = [Case(source.name, source) for source in sources] + [Case(name) for name in SYNTHETIC if synthetic]
    check_names(cases)
    return cases


@lru_cache(maxsize=1)
def load_case(case: Case) -> Section:
    """Read or draw the slices."""
    if case.source is not None:
        return load_section(case.source)
    adata = sps.datasets.synthetic_tissue(N_SLICES, N_SPOTS, n_domains=N_DOMAINS, seed=0, **SYNTHETIC[case.name])
    light = AnnData(adata.X, obs=adata.obs[["slice"]].copy(), obsm={"spatial": adata.obsm["spatial"]})
    light.var_names = adata.var_names
    return Section(light, np.ones(adata.n_obs, dtype=bool), adata.obs["domain"].to_numpy(str))


def lacked_domains(case: Case) -> dict[str, list[str]]:
    """Names of the domains that each slice lacks, empty where that is not known by construction."""
    settings = SYNTHETIC.get(case.name, {})
    if case.source is not None or "missing_domains" not in settings:
        return {}
    tiny = sps.datasets.synthetic_tissue(N_SLICES, 60, n_domains=N_DOMAINS)
    slices, domains = (pd.Index(tiny.obs[key].cat.categories) for key in ("slice", "domain"))
    return {slices[index]: [domains[number] for number in numbers] for index, numbers in LACKED.items()}
