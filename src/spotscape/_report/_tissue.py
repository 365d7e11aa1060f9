"""What a report reads from an AnnData: domains, slices, positions, confidence and depth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._slices import find_slice_key
from spotscape._validate import check_name, check_present
from spotscape.pl._colors import as_categorical, category_colors
from spotscape.pl._map import read_coordinates
from spotscape.pl._values import slice_codes
from spotscape.preprocessing._value_summary import ValueSummary, summarize_values

#: Name of the only slice where slices have no names.
_ONLY_SLICE = "all spots"


@dataclass(eq=False)
class Tissue:
    """Sections with domains.

    Attributes
    ----------
    adata
        The data, which are not changed.
    domain_key, spatial_key
        Keys of the domains and the coordinates.
    domains
        Domain of each spot.
    colors
        Colour of each domain.
    slices
        Number of the slice of each spot. ``(n_spots,)``.
    slice_names
        Names of the slices.
    coordinates
        Position of each spot. ``(n_spots, 2)``.
    confidence
        Confidence in the domain of each spot, if there is one. ``(n_spots,)``.
    depth
        Summary of the expression, with the total and the number of detected genes of each spot. ``None`` without
        expression, or with values that have no depth, such as negative ones.
    use_rep
        Key of the representation that the domains were found in, if it is there.
    result
        Parameters of the domains.
    """

    adata: AnnData
    domain_key: str
    spatial_key: str
    domains: pd.Categorical
    colors: list[str]
    slices: np.ndarray
    slice_names: list[str]
    coordinates: np.ndarray
    confidence: np.ndarray | None
    depth: ValueSummary | None
    use_rep: str | None
    result: Mapping[str, Any]

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return len(self.slice_names)

    def light(self, rows: np.ndarray | None = None) -> AnnData:
        """Domains, slices, confidence, positions and representation of some spots, for figures.

        Figures store colours in ``uns``, and the data of the user stay as they are.
        """
        rows = np.arange(self.adata.n_obs) if rows is None else rows
        obs = pd.DataFrame(
            {
                "domain": self.domains[rows],
                "slice": pd.Categorical.from_codes(self.slices[rows], self.slice_names),
            },
            index=pd.RangeIndex(len(rows)).astype(str),
        )
        if self.confidence is not None:
            obs["confidence"] = self.confidence[rows]
        light = AnnData(obs=obs, obsm={"spatial": self.coordinates[rows]})
        light.uns["domain_colors"] = self.colors
        if self.use_rep is not None:
            light.obsm["representation"] = np.asarray(self.adata.obsm[self.use_rep])[rows]
        return light


def read_tissue(
    adata: AnnData, *, domain_key: str, slice_key: str | None, spatial_key: str, layer: str | None, model: Any
) -> Tissue:
    """Check and read what a report needs; see :func:`spotscape.report` for the arguments."""
    if not isinstance(adata, AnnData):
        raise TypeError(f"`adata` is a {type(adata).__name__}; pass an AnnData with spatial domains.")
    check_name(domain_key, "domain_key", "a column of `adata.obs`")
    if domain_key not in adata.obs:
        raise KeyError(
            f"`domain_key` is {domain_key!r}, which is not in `adata.obs`; call `spotscape.tl.domains` first, or pass "
            "another column."
        )
    domains = as_categorical(adata.obs[domain_key])
    if domains is None:
        raise TypeError(f"`adata.obs[{domain_key!r}]` contains numbers; make it categorical, or pass another column.")
    if (domains.codes < 0).all():
        raise ValueError(f"`adata.obs[{domain_key!r}]` is missing for all spots; pass another column.")
    setup = {} if model is None else model.registry_["setup_args"]
    if slice_key is None and setup.get("slice_key") in adata.obs:
        slice_key = setup["slice_key"]
    slices, names = slice_codes(adata, find_slice_key(adata, slice_key))
    coordinates = read_coordinates(adata, spatial_key)
    result = adata.uns.get(domain_key)
    result = result if isinstance(result, Mapping) else {}
    use_rep = result.get("use_rep")
    confidence = adata.obs.get(f"{domain_key}_confidence")
    return Tissue(
        adata=adata,
        domain_key=domain_key,
        spatial_key=spatial_key,
        domains=domains,
        colors=category_colors(adata, domain_key, list(domains.categories)),
        slices=slices,
        slice_names=names or [_ONLY_SLICE],
        coordinates=coordinates,
        confidence=None if confidence is None else confidence.to_numpy(dtype=np.float64, na_value=np.nan),
        depth=_read_depth(adata, layer, setup),
        use_rep=use_rep if isinstance(use_rep, str) and use_rep in adata.obsm else None,
        result=result,
    )


def _read_depth(adata: AnnData, layer: str | None, setup: Mapping[str, Any]) -> ValueSummary | None:
    """Depth from the layer of the user, of the set-up, or called ``"counts"``, or else from ``X``."""
    if layer is not None:
        check_present(layer, "layer", adata.layers, "adata.layers")
    elif setup.get("layer") in adata.layers:
        layer = setup["layer"]
    elif "layer" not in setup and "counts" in adata.layers:
        layer = "counts"
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None or not adata.n_vars:
        return None
    summary = summarize_values(matrix)
    try:
        summary.check("auto")
    except ValueError:
        return None
    return summary
