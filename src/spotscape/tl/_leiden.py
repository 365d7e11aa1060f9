"""Communities of the neighbour graph of a representation, in a wanted number."""

from typing import cast

import numpy as np
from scipy import sparse

from spotscape.tl._representation import neighbor_graph


def leiden_codes(
    representation: np.ndarray, n_domains: int | None, resolution: float | None, n_neighbors: int, seed: int
) -> tuple[np.ndarray, float]:
    """Communities and the resolution that gave them, found by doubling or halving and then by bisection."""
    try:
        import igraph  # noqa: F401
    except ImportError as error:
        raise ImportError("Method 'leiden' needs igraph; run: pip install \"spotscape[leiden]\"") from error
    import scanpy

    light = neighbor_graph(representation, n_neighbors, seed)

    def communities(at: float) -> np.ndarray:
        scanpy.tl.leiden(light, at, flavor="igraph", n_iterations=-1, directed=False, random_state=seed)
        return light.obs["leiden"].cat.codes.to_numpy().astype(np.int64)

    if resolution is not None:
        return communities(float(resolution)), float(resolution)
    n_wanted = cast(int, n_domains)
    n_pieces = sparse.csgraph.connected_components(light.obsp["connectivities"], directed=False)[0]
    if n_pieces > n_wanted:
        raise ValueError(
            f"`n_domains` is {n_wanted}, but its neighbour graph has {n_pieces} pieces that Leiden cannot join; "
            "pass a larger `n_neighbors`, or use method 'kmeans'."
        )
    tried: dict[float, int] = {}
    low, high, at = 0.0, np.inf, 1.0
    for _ in range(40):
        codes = communities(at)
        tried[at] = int(codes.max()) + 1
        if tried[at] == n_wanted:
            return codes, at
        low, high = (at, high) if tried[at] < n_wanted else (low, at)
        at = 2 * low if high == np.inf else high / 2 if low == 0.0 else float(np.sqrt(low * high))
        if low > 0 and high / low < 1 + 1e-4:
            break
    closest = min(tried, key=lambda value: abs(tried[value] - n_wanted))
    raise ValueError(
        f"No resolution was found that gives `n_domains` = {n_wanted}; {closest:.4g} gives {tried[closest]}. "
        "Pass another `seed` or `n_neighbors`, or that `resolution`."
    )
