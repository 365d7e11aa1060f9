"""Positions of the spots of a SpatialData table: the centroids of the elements that it annotates."""

import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData


def annotated_regions(table: AnnData) -> list[str]:
    """Names of the elements that a table annotates."""
    return [str(region) for region in np.atleast_1d(table.uns.get("spatialdata_attrs", {}).get("region", []))]


def centroids_of_spots(table: AnnData, read_elements: Callable[[Collection[str]], Mapping[str, Any]]) -> np.ndarray:
    """Centroids of the elements of a table, in the coordinate system ``"global"`` or else the first of the element.

    Parameters
    ----------
    table
        Table that annotates at least one element.
    read_elements
        Function that returns the elements with the given names.

    Returns
    -------
    Positions, NaN for spots that are in no element. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    """
    attributes, regions = table.uns["spatialdata_attrs"], annotated_regions(table)
    positions, n_axes = np.full((table.n_obs, 3), np.nan), 2
    of_region = table.obs[attributes["region_key"]].astype(str).to_numpy()
    ids = table.obs[attributes["instance_key"]].to_numpy()
    elements = read_elements(regions)
    for region in regions:
        rows = np.flatnonzero(of_region == region)
        centroids = _centroids(elements[region])
        n_axes = max(n_axes, centroids.shape[1])
        place = centroids.index.get_indexer(pd.Index(ids[rows]))
        positions[rows[place >= 0], : centroids.shape[1]] = centroids.to_numpy()[place[place >= 0]]
    return positions[:, :n_axes]


def _centroids(element: Any) -> pd.DataFrame:
    from spatialdata import get_centroids
    from spatialdata.transformations import get_transformation

    systems = get_transformation(element, get_all=True)
    with warnings.catch_warnings():
        # It advises to sort the index, which nothing here relies on.
        warnings.simplefilter("ignore")
        centroids = get_centroids(element, "global" if "global" in systems else next(iter(systems))).compute()
    return centroids[[axis for axis in ("x", "y", "z") if axis in centroids]]
