"""Leiden communities of the neighbour graph of a representation."""

from importlib.util import find_spec
from typing import cast

import numpy as np
from scipy import sparse

from spotscape.tl._representation import neighbor_graph


def leiden_codes(
    representation: np.ndarray, n_domains: int | None, resolution: float | None, n_neighbors: int, seed: int
) -> tuple[np.ndarray, float]:
    """Return the community of each spot, and the resolution.

    If ``n_domains`` is given, the resolution is bracketed by doubling or halving, and then found by bisection.
    """
    if find_spec("igraph") is None:
        raise ImportError("Method 'leiden' needs igraph; run `pip install \"spotscape[leiden]\"`.")
    import scanpy

    data = neighbor_graph(representation, n_neighbors, seed)

    def communities(value: float) -> np.ndarray:
        scanpy.tl.leiden(data, value, flavor="igraph", n_iterations=-1, directed=False, random_state=seed)
        return data.obs["leiden"].cat.codes.to_numpy().astype(np.int64)

    if resolution is not None:
        return communities(float(resolution)), float(resolution)
    n_target = cast(int, n_domains)
    n_connected = sparse.csgraph.connected_components(data.obsp["connectivities"], directed=False)[0]
    if n_connected > n_target:
        raise ValueError(
            f"`n_domains` is {n_target}, but the neighbour graph has {n_connected} connected components, which Leiden "
            "cannot join; pass a larger `n_neighbors`, or use method 'kmeans'."
        )
    found: dict[float, int] = {}
    low, high, middle = 0.0, np.inf, 1.0
    for _ in range(40):
        codes = communities(middle)
        found[middle] = int(codes.max()) + 1
        if found[middle] == n_target:
            return codes, middle
        low, high = (middle, high) if found[middle] < n_target else (low, middle)
        middle = 2 * low if high == np.inf else high / 2 if low == 0.0 else float(np.sqrt(low * high))
        if low > 0 and high / low < 1 + 1e-4:
            break
    closest = min(found, key=lambda value: abs(found[value] - n_target))
    raise ValueError(
        f"No resolution gives `n_domains` = {n_target}; {closest:.4g} gives {found[closest]}. "
        "Pass another `seed` or `n_neighbors`, or that `resolution`."
    )
