"""Argument checks, random streams and the AnnData that both simulations share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.datasets._geometry import Section


def check_common(
    n_slices: int, batch_effect: float | str, levels: Mapping[str, float], positions: str, seed: int
) -> float:
    """Check the arguments of both simulations, and return the batch effect as a number."""
    check_integer(n_slices, "n_slices", minimum=1)
    if isinstance(batch_effect, str):
        check_choice(batch_effect, levels, "batch_effect")
        batch_effect = levels[batch_effect]
    check_number(batch_effect, "batch_effect", minimum=0.0, maximum=5.0)
    check_choice(positions, ("lattice", "scattered"), "positions")
    check_integer(seed, "seed", minimum=0)
    return float(batch_effect)


def spawn_generators(seed: int, n_slices: int) -> tuple[np.random.Generator, list[list[np.random.Generator]]]:
    """Make one generator for the tissue and three for each slice; none depends on the number of slices."""
    tissue, *slices = np.random.SeedSequence(int(seed)).spawn(int(n_slices) + 1)
    return np.random.default_rng(tissue), [[np.random.default_rng(child) for child in s.spawn(3)] for s in slices]


def assemble(
    sections: list[Section], counts: list[sparse.csr_matrix], obs: dict[str, Any], var: dict[str, Any] | None = None
) -> AnnData:
    """Combine the slices into one AnnData.

    Parameters
    ----------
    sections, counts
        Geometry and counts of each slice, all of the same number of spots.
    obs, var
        Columns of ``obs``, besides ``"slice"``, and of ``var``.

    Returns
    -------
    AnnData with counts, slices, coordinates and the given columns.
    """
    names = [f"slice_{index + 1}" for index in range(len(sections))]
    spots = _numbered("spot", len(sections[0].domain))
    slices = pd.Categorical.from_codes(np.repeat(np.arange(len(names)), len(spots)), names)
    joined = sparse.vstack(counts, format="csr")
    adata = AnnData(
        X=joined,
        obs=pd.DataFrame({"slice": slices} | obs, index=[f"{name}_{spot}" for name in names for spot in spots]),
        var=pd.DataFrame(var, index=_numbered("gene", joined.shape[1])),
    )
    # A copy, so that functions that normalise X in place do not change the counts.
    adata.layers["counts"] = joined.copy()
    adata.obsm["spatial"] = np.concatenate([section.positions for section in sections])
    return adata


def _numbered(word: str, n_names: int) -> list[str]:
    return [f"{word}_{number:0{len(str(n_names))}}" for number in range(1, n_names + 1)]
