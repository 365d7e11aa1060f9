"""Positions of the spots of a simulated section, and the domain of each."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

PITCH_UM = 100.0
N_WAVES = 24
JITTER = 0.35


class Section(NamedTuple):
    """One section of the tissue."""

    positions: np.ndarray
    """Coordinates in micrometres, ``(n_spots, 2)``."""
    domain: np.ndarray
    """Index of the domain of each spot, ``(n_spots,)``; layers come first, then patches."""
    layer_position: np.ndarray
    """Depth across the layers, from 0 at the outer face of the first to 1 at that of the last, ``(n_spots,)``."""


def draw_section(
    rng: np.random.Generator,
    n_spots: int,
    shares: np.ndarray,
    n_layers: int,
    *,
    missing: Collection[int] = (),
    scattered: bool = False,
) -> Section:
    """Draw one section: an outline, curved layers across it, patches on top.

    Parameters
    ----------
    rng
        Random generator. The draws do not depend on `missing`, so the section has the same geometry with and without
        a domain.
    n_spots
        Number of spots.
    shares
        Share of the tissue that each domain covers, layers first; they sum to 1. Shares vary between sections by up to
        15 %. ``(n_domains,)``.
    n_layers
        Number of layers; the other domains are patches.
    missing
        Domains absent from this section. The neighbours of a missing layer meet in its middle, and the surrounding
        layer replaces a missing patch. No other spot changes its domain.
    scattered
        Move each spot off the hexagonal lattice at random.
    """
    n_patches = len(shares) - n_layers
    tissue_edges = np.concatenate([[0.0], np.cumsum(shares[:n_layers]) / shares[:n_layers].sum()])
    shares = shares * rng.uniform(0.85, 1.15, len(shares))
    shares /= shares.sum()

    positions, radius = _lattice_points(n_spots, PITCH_UM)
    if scattered:
        positions = positions + rng.normal(0.0, JITTER * PITCH_UM, positions.shape)
    # The tissue is rotated and the lattice is not, as on a slide where sections lie at any angle under the spots.
    angle = rng.uniform(0.0, 2.0 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    tissue_xy = (positions / radius) @ turn
    inside = _inside_outline(rng, tissue_xy, n_spots)
    positions, tissue_xy = positions[inside], tissue_xy[inside]

    bend = rng.uniform(0.2, 0.45) * rng.choice([-1.0, 1.0])
    depth = tissue_xy[:, 1] + bend * tissue_xy[:, 0] ** 2
    depth += 0.12 * _smooth_field(rng, tissue_xy, length=0.5) + 0.05 * _smooth_field(rng, tissue_xy, length=0.15)
    patch_distance = _patch_distances(rng, tissue_xy, n_patches)
    patch = _assign_patches(patch_distance, shares[n_layers:])
    edges = _layer_edges(depth, patch < 0, shares[:n_layers])

    lacking = set(missing)
    present_layers = [layer for layer in range(n_layers) if layer not in lacking]
    present_patches = [index for index in range(n_patches) if n_layers + index not in lacking]
    if present_layers:
        domain, layer_position = _read_layers(depth, _close_gaps(edges, present_layers), tissue_edges, present_layers)
        on_patch = np.isin(patch, present_patches)
        domain[on_patch] = n_layers + patch[on_patch]
    else:
        _, layer_position = _read_layers(depth, edges, tissue_edges, list(range(n_layers)))
        nearest = np.asarray(present_patches)[np.argmin(patch_distance[:, present_patches], axis=1)]
        domain = n_layers + np.where(np.isin(patch, present_patches), patch, nearest)
    return Section(positions - positions.min(axis=0), domain, layer_position)


def _lattice_points(n_spots: int, pitch: float) -> tuple[np.ndarray, float]:
    """Hexagonal lattice around the origin, larger than the disc of `n_spots` points, and the radius of that disc."""
    row_height = pitch * np.sqrt(3.0) / 2.0
    radius = np.sqrt(n_spots * pitch * row_height / np.pi)
    n_columns, n_rows = int(1.7 * radius / pitch) + 2, int(1.7 * radius / row_height) + 2
    rows, columns = np.meshgrid(np.arange(-n_rows, n_rows + 1), np.arange(-n_columns, n_columns + 1), indexing="ij")
    x = (columns + 0.5 * (rows % 2)) * pitch
    return np.column_stack([x.ravel(), (rows * row_height).ravel()]), float(radius)


def _inside_outline(rng: np.random.Generator, tissue_xy: np.ndarray, n_spots: int) -> np.ndarray:
    """Indices of the `n_spots` points deepest inside a rounded, wavy outline."""
    stretch = np.exp(rng.uniform(-0.12, 0.12))
    x, y = np.abs(tissue_xy[:, 0]) * stretch, np.abs(tissue_xy[:, 1]) / stretch
    rim = (x**2.5 + y**2.5) ** 0.4 * (1.0 + 0.06 * _smooth_field(rng, tissue_xy, length=0.6))
    return np.sort(np.argpartition(rim, n_spots - 1)[:n_spots])


def _smooth_field(rng: np.random.Generator, xy: np.ndarray, *, length: float) -> np.ndarray:
    """Approximately Gaussian random field of mean 0, variance 1 and length scale `length`."""
    directions = rng.normal(0.0, 1.0 / length, (N_WAVES, 2))
    phases = rng.uniform(0.0, 2.0 * np.pi, N_WAVES)
    field = np.zeros(len(xy))
    # One wave at a time: all of them together would be the largest array of the simulation.
    for direction, phase in zip(directions, phases, strict=True):
        field += np.cos(xy @ direction + phase)
    return field * np.sqrt(2.0 / N_WAVES)


def _patch_distances(rng: np.random.Generator, xy: np.ndarray, n_patches: int) -> np.ndarray:
    """Distance of each spot to the nearest blob of each patch, in warped blob sizes. ``(n_spots, n_patches)``."""
    distances = np.full((len(xy), n_patches), np.inf)
    centres: list[np.ndarray] = []
    for patch in range(n_patches):
        for _ in range(rng.integers(1, 4)):
            centre = _distant_point(rng, xy, centres)
            centres.append(centre)
            size = rng.uniform(0.7, 1.3)
            distances[:, patch] = np.minimum(distances[:, patch], np.hypot(*(xy - centre).T) / size)
        distances[:, patch] *= np.exp(0.25 * _smooth_field(rng, xy, length=0.3))
    return distances


def _distant_point(rng: np.random.Generator, xy: np.ndarray, taken: list[np.ndarray]) -> np.ndarray:
    """Of 16 random spots, the one farthest from the points taken before, so that blobs cover the section evenly."""
    candidates = xy[rng.integers(0, len(xy), 16)]
    if not taken:
        return candidates[np.argmin(np.hypot(*candidates.T))]
    gaps = np.linalg.norm(candidates[:, None] - np.asarray(taken)[None], axis=2).min(axis=1)
    return candidates[np.argmax(gaps)]


def _assign_patches(distances: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Index of the patch of each spot, -1 for none; each patch covers its share of the spots."""
    patch = np.full(len(distances), -1)
    for index, share in enumerate(shares):
        free = np.flatnonzero(patch < 0)
        n_taken = max(1, round(share * len(distances)))
        patch[free[np.argsort(distances[free, index], kind="stable")[:n_taken]]] = index
    return patch


def _layer_edges(depth: np.ndarray, background: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Depths of the layer boundaries, so that each layer has its share of the background. ``(n_layers + 1,)``."""
    ordered = np.sort(depth[background])
    counts = np.floor(np.cumsum(shares)[:-1] / shares.sum() * len(ordered) + 0.5).astype(int)
    inner = 0.5 * (ordered[counts - 1] + ordered[counts])
    return np.concatenate([[depth.min()], inner, [depth.max()]])


def _close_gaps(edges: np.ndarray, present_layers: list[int]) -> np.ndarray:
    """Layer boundaries after the neighbours of each missing layer were extended to the middle of the gap."""
    closed = edges.copy()
    closed[: present_layers[0] + 1] = edges[0]
    closed[present_layers[-1] + 1 :] = edges[-1]
    for above, below in zip(present_layers[:-1], present_layers[1:], strict=True):
        closed[above + 1 : below + 1] = 0.5 * (edges[above + 1] + edges[below])
    return closed


def _read_layers(
    depth: np.ndarray, edges: np.ndarray, tissue_edges: np.ndarray, present_layers: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Layer of each spot, and its depth on the scale common to all sections."""
    present = np.asarray(present_layers)
    layer = present[np.searchsorted(edges[present[1:]], depth, side="right")]
    within = (depth - edges[layer]) / (edges[layer + 1] - edges[layer])
    width = tissue_edges[layer + 1] - tissue_edges[layer]
    return layer, np.clip(tissue_edges[layer] + within * width, 0.0, 1.0)
