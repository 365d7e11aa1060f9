"""Square windows of lattice sites around spots, whose missing sites are filled with medians."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from spotscape._validate import check_choice, check_integer
from spotscape.graph._checks import check_coordinates, encode_slices
from spotscape.graph._lattice import IN_LINE, REACH, fit_lattice, likely_lattice

LATTICES = ("auto", "hexagonal", "square")


class NoLatticeError(ValueError):
    """The spots of a slice are on no lattice."""


def build_lattice_windows(
    coordinates: ArrayLike, slices: ArrayLike | None = None, *, width: int = 7, layout: str = "auto"
) -> NDArray[np.int32]:
    r"""Find the spots at the sites of a square window around each spot, as published :cite:p:`Nonchev2024`.

    On a square lattice, the window is a square of :math:`W \times W` sites. On a hexagonal lattice, the sites are those
    of Visium's array rows and columns, as published: neighbours in a row are two columns apart, and rows are shifted by
    one column, so only the sites with an even sum of row and column offset exist. **Half of the window therefore has no
    spot**, even in the middle of the tissue, and the window is about half as high as it is wide, in spots.
    :func:`build_windows` has no such gaps.

    The lattice is found from the coordinates, in any unit, like that of :func:`build_windows`. Rows run along the
    direction of the lattice that is closest to an axis of the coordinates, so the windows change if a section is
    rotated.

    Parameters
    ----------
    coordinates
        Coordinates. ``(n_spots, 2)``.
    slices
        Slice of each spot, as codes or labels. ``None``: all spots belong to one slice. ``(n_spots,)``.
    width
        :math:`W`, odd.
    layout
        ``"hexagonal"`` or ``"square"`` for all slices, or ``"auto"``, which detects the lattice of each slice.

    Returns
    -------
    Row numbers of the spots of each window, row by row of the window; -1 for sites without a spot. The spot itself is
    in column ``width ** 2 // 2``. ``(n_spots, width ** 2)``.

    Raises
    ------
    ValueError
        If the coordinates or slices cannot be used, ``width`` is even, or the spots of a slice are on no lattice.

    Examples
    --------
    The spot in the middle of nine, and one in a corner:

    >>> import numpy as np
    >>> import spotscape as sps
    >>> coordinates = np.stack(np.meshgrid(np.arange(3.0), np.arange(3.0)), axis=-1).reshape(-1, 2)
    >>> sites = sps.graph.build_lattice_windows(coordinates, width=3)
    >>> sites[[4, 0]].tolist()
    [[0, 1, 2, 3, 4, 5, 6, 7, 8], [-1, -1, -1, -1, 0, 1, -1, 3, 4]]
    """
    check_integer(width, "width", minimum=1)
    if width % 2 == 0:
        raise ValueError(f"`width` is {width}; pass an odd number, so that the spot is in the middle.")
    check_choice(layout, LATTICES, "layout")
    positions = check_coordinates(coordinates, slices)
    if positions.shape[1] != 2:
        raise NoLatticeError("The coordinates have 3 columns, but square windows need 2; use `build_windows`.")
    codes, names = encode_slices(slices, len(positions))
    sites = np.full((len(positions), width**2), -1, dtype=np.int32)
    for code, name in enumerate(names):
        spots = np.flatnonzero(codes == code)
        found = _slice_sites(positions[spots], width, layout, name)
        sites[spots] = np.where(found >= 0, spots[found], -1)
    return sites


def fill_windows(
    features: NDArray[np.float32], sites: NDArray[np.int32], present: NDArray[np.bool_], *, empty: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    r"""Features of the sites of some windows, with the median of the window at sites without a spot.

    .. math:: x_{isd} = \operatorname{median}_{t \in P_i} x_{itd} \quad \text{for } s \notin P_i

    with the sites :math:`P_i` of window :math:`i` at which a spot has features, for each feature :math:`d` on its own.

    Parameters
    ----------
    features
        Features of all spots. ``(n_spots, n_features)``.
    sites
        Rows of the result of :func:`build_lattice_windows`. ``(n_windows, n_sites)``.
    present
        Whether each spot has features. ``(n_spots,)``.
    empty
        Value of all sites of windows in which no spot has features.

    Returns
    -------
    Features of each site, ``(n_windows, n_sites, n_features)``, and whether it has a spot with features, ``(n_windows,
    n_sites)``.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> features = np.array([[1.0], [2.0], [6.0]], dtype=np.float32)
    >>> filled, there = sps.graph.fill_windows(features, np.array([[0, 1, 2, -1]]), present=np.ones(3, dtype=bool))
    >>> filled.ravel().tolist(), there.tolist()
    ([1.0, 2.0, 6.0, 2.0], [[True, True, True, False]])
    """
    there = (sites >= 0) & present[sites]
    values = features[sites]
    values[~there] = np.inf
    ordered = np.sort(values, axis=1)
    n_there = there.sum(axis=1)
    windows = np.arange(len(sites))
    lower, upper = ordered[windows, np.maximum(n_there - 1, 0) // 2], ordered[windows, n_there // 2 % sites.shape[1]]
    medians = np.where(n_there[:, None] > 0, lower / 2 + upper / 2, np.float32(empty))
    return np.where(there[:, :, None], values, medians[:, None]).astype(np.float32), there


def _slice_sites(positions: NDArray[np.float64], width: int, layout: str, name: str) -> NDArray[np.int64]:
    """Row numbers within the slice of the spots at the sites of each window, or -1."""
    sites = np.full((len(positions), width**2), -1, dtype=np.int64)
    if len(positions) > 1:
        tree = KDTree(positions)
        lattice = likely_lattice(tree) if layout == "auto" else layout
        steps, share = fit_lattice(tree, lattice)
        if layout == "auto" and share < IN_LINE:
            raise NoLatticeError(
                f"The spots of {name} are on no lattice; if they are, pass its `layout`, and else use `build_windows`."
            )
        reach = REACH * np.linalg.norm(steps, axis=1).mean()
        for site, offset in _offsets(_along_rows(steps, lattice), lattice, width):
            distances, found = tree.query(positions + offset, distance_upper_bound=reach)
            sites[:, site] = np.where(np.isfinite(distances), found, -1)
    # A spot that shares its position with others need not be found first.
    sites[:, width**2 // 2] = np.arange(len(positions))
    return sites


def _along_rows(steps: NDArray[np.float64], lattice: str) -> NDArray[np.float64]:
    """Steps to the next spot of the row, and to the next row. ``(2, 2)``."""
    first, second = steps
    pairs = [(first, second), (second, -first)]
    if lattice == "hexagonal":
        pairs = [(first, second), (second, second - first), (second - first, -first)]
    # A square lattice has directions along both axes, a hexagonal one along a single axis.
    n_axes = 2 if lattice == "square" else 4

    def slant(pair: tuple[NDArray[np.float64], NDArray[np.float64]]) -> float:
        return abs(float(np.angle(np.exp(1j * n_axes * np.arctan2(pair[0][1], pair[0][0])))))

    chosen = np.array(min(pairs, key=slant))
    return chosen * np.sign(chosen[0, np.abs(chosen[0]).argmax()])


def _offsets(steps: NDArray[np.float64], lattice: str, width: int) -> list[tuple[int, NDArray[np.float64]]]:
    """Number of each site in the window, and its offset from the spot; only sites that exist on the lattice."""
    half = width // 2
    result = []
    for site, (row, column) in enumerate(np.ndindex(width, width)):
        row, column = row - half, column - half
        if lattice == "square":
            result.append((site, column * steps[0] + row * steps[1]))
        elif (row + column) % 2 == 0:
            # The next row is shifted by one column, and the next spot of a row is two columns away.
            result.append((site, (column - row) / 2 * steps[0] + row * steps[1]))
    return result
