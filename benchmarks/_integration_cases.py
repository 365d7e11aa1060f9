"""What is integrated: annotated sections in files, and made-up tissues whose batch effect is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from _sections import Keys, Section, Source, find_sections, load_section
from anndata import AnnData
from scipy import sparse

import spotscape as sps

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


def find_cases(texts: Sequence[str], keys: Keys, *, synthetic: bool) -> list[Case]:
    """Read ``NAME=A.h5ad,B.h5ad`` into cases of all annotated slices of the files, and add the made-up tissues."""
    cases = []
    for text in texts:
        name, separator, files = text.partition("=")
        if not (name and separator and files):
            raise ValueError(f"--case is {text!r}; write NAME=A.h5ad,B.h5ad.")
        source = next(source for source in find_sections([], [files.split(",")], keys))
        cases.append(Case(name, replace(source, name=name)))
    cases += [Case(name) for name in SYNTHETIC if synthetic]
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise ValueError(f"Two cases have one name: {', '.join(names)}.")
    return cases


@lru_cache(maxsize=1)
def load_case(case: Case, keys: Keys) -> Section:
    """Read or draw the slices."""
    if case.source is not None:
        return load_section(case.source, keys)
    adata = sps.datasets.synthetic_tissue(N_SLICES, N_SPOTS, n_domains=N_DOMAINS, seed=0, **SYNTHETIC[case.name])
    light = AnnData(adata.X, obs=adata.obs[["slice"]].copy(), obsm={"spatial": adata.obsm["spatial"]})
    light.var_names = adata.var_names
    return Section(
        adata=light,
        size_factor_key=None,
        slice_key="slice",
        is_annotated=np.ones(adata.n_obs, dtype=bool),
        labels=adata.obs["domain"].to_numpy(str),
        # Borders play no part here.
        graph=sparse.csr_matrix((adata.n_obs, adata.n_obs)),
    )


def lacked_domains(case: Case) -> dict[str, list[str]]:
    """Names of the domains that each slice lacks, empty where that is not known by construction."""
    settings = SYNTHETIC.get(case.name, {})
    if case.source is not None or "missing_domains" not in settings:
        return {}
    tiny = sps.datasets.synthetic_tissue(N_SLICES, 60, n_domains=N_DOMAINS)
    slices, domains = (pd.Index(tiny.obs[key].cat.categories) for key in ("slice", "domain"))
    return {slices[index]: [domains[number] for number in numbers] for index, numbers in LACKED.items()}
