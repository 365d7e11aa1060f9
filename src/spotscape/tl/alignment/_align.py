"""Alignment of slices: where the spots of one slice lie on another, and which spots belong together."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse
from scipy.spatial import cKDTree
from tqdm.auto import tqdm

from spotscape._slices import need_slice_key, read_slices
from spotscape._validate import check_choice, check_integer
from spotscape.graph import check_coordinates
from spotscape.tl._domains import _lexicographic_order
from spotscape.tl._representation import read_representation
from spotscape.tl.alignment._coupling import N_WINDOW, best_of_rows, overall_evidence, transport, window_evidence
from spotscape.tl.alignment._registration import N_SPOTS, Registration, Spots, directions, register
from spotscape.tl.alignment._transformation import TRANSFORMS

COUPLINGS = ("nearest", "transport")
#: Below these an alignment is warned of: the placement explains less than half of the similarity that there is, or
#: another one explains nearly as much.
MIN_QUALITY = 0.5
MIN_MARGIN = 0.05
_MIN_SPOTS = 10


def align(
    adata: AnnData,
    reference: str,
    query: str | Sequence[str] | None = None,
    *,
    use_rep: str = "X_spotscape",
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    transform: str | None = "rigid",
    coupling: str = "nearest",
    n_neighbors: int = 10,
    key_added: str = "alignment",
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Align slices with a reference slice, and couple their spots with those of the reference.

    Each slice is placed where its spots come to lie on reference spots with a similar representation. Its spot
    :math:`i` is then coupled with the reference spots :math:`j` of largest

    .. math::

        w_{ij} = \exp\left( -\frac{\|T x_i - x_j\|^2}{2 h^2} + \frac{s_{ij}}{\tau} \right)

    with the transformation :math:`T`, the cosine similarity :math:`s` of the representations, a width :math:`h` of two
    spacings of the coarser slice, and the gap :math:`\tau` between the most similar spot and the best tenth of all (the
    median over spots). Representations are centred where the slices lie on each other, so that neither a batch effect
    nor tissue that one of them lacks matters.

    Parameters
    ----------
    adata
        Annotated data with at least two slices of ten spots each.
    reference
        Name of the slice whose frame the others are moved to.
    query
        Name or names of the slices to align, each on its own. If ``None``, all but the reference.
    use_rep
        Key of the representation in ``adata.obsm``, which may come from any package, or ``"X"``. It has to be common to
        the slices, as of a model that was trained on them together.
    slice_key
        Column of ``adata.obs`` with the slice of each spot. If ``None``, the one with which the spatial graph was
        built, otherwise ``"slice"``.
    spatial_key
        Key of the coordinates in ``adata.obsm``, two columns in any unit. Not read if ``transform`` is ``None``.
    transform
        ``"rigid"``: rotation and shift. ``"similarity"``: also a change of scale, for slices whose coordinates have
        different units. ``"affine"``: also shear and a scale for each direction. Mirrored slices are recognised by all.
        ``None``: spots are coupled by the representation alone, centred over each slice as a whole.
    coupling
        ``"nearest"``: each spot with its best reference spots. ``"transport"``: all spots at once by unbalanced optimal
        transport, so that many spots do not share few counterparts.
    n_neighbors
        Largest number of reference spots that a spot is coupled with.
    key_added
        Key of the coupling in ``adata.obsp`` and of the parameters in ``adata.uns``.
    seed
        Seed of the spots and pairs that are drawn to find the placement.
    copy
        Return a copy of ``adata`` that has the answer instead of writing to ``adata``.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obsm[f"{spatial_key}_aligned"]``
        Coordinates in the frame of the reference, whose own are unchanged. Missing in slices that are neither reference
        nor query. Not set if ``transform`` is ``None``. ``(n_spots, 2)``.
    ``.obsp[key_added]``
        Coupling: rows of the query spots over columns of the reference spots. Rows sum to one, or are empty where a
        spot lies farther than two spacings from the reference. Sparse, ``(n_spots, n_spots)``.
    ``.obs[f"{key_added}_similarity"]``
        Cosine similarity of each query spot to those it is coupled with, weighted; missing where there are none.
    ``.uns[key_added]``
        The parameters and, for each slice of ``query``: ``coupled``, the share of its spots with a counterpart, and,
        unless ``transform`` is ``None``, ``matrix`` (it moves columns :math:`(x, y, 1)`, ``(n_query, 3, 3)``),
        ``mirrored``, ``scale``, ``overlap`` (share of spots within one spacing of the reference), ``quality``
        (similarity of these to what lies below them, 0 as by chance, 1 as of the most similar spots anywhere) and
        ``margin`` (by which share the score exceeds that of the best placement that is mirrored or turned by more than
        45 degrees).

    Raises
    ------
    KeyError
        If a key or a slice is missing.
    ValueError
        If coordinates or representation cannot be used, a slice is too small, or an argument is out of range.

    Warns
    -----
    UserWarning
        If ``quality`` is below 0.5 or ``margin`` below 0.05: the placement should not be trusted.
    """
    check_choice(transform, (*TRANSFORMS, None), "transform")
    check_choice(coupling, COUPLINGS, "coupling")
    check_integer(n_neighbors, "n_neighbors", minimum=1, maximum=N_WINDOW)
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    if not isinstance(key_added, str) or not key_added:
        raise TypeError(f"`key_added` is {key_added!r}; pass the name of an entry of `adata.obsp`.")
    slice_key = need_slice_key(adata, slice_key)
    slices = read_slices(adata, slice_key).to_numpy(str)
    names = _query_names(slices, reference, query)
    vectors = read_representation(adata, use_rep, seed=seed).astype(np.float64)
    positions = None if transform is None else _read_positions(adata, spatial_key, slices)

    there = _in_order(np.flatnonzero(slices == reference), vectors, positions)
    moved = np.full((adata.n_obs, 2), np.nan)
    if positions is not None:
        moved[there] = positions[there]
    matched = np.full(adata.n_obs, np.nan)
    parts, registrations = [], []
    for name in tqdm(names, desc="Aligning", unit="slice", leave=False, delay=2, disable=None):
        here = _in_order(np.flatnonzero(slices == name), vectors, positions)
        target, source = _spots(there, vectors, positions), _spots(here, vectors, positions)
        if positions is None:
            source, target = _aligned_directions(
                source, target, source.vectors.mean(axis=0), target.vectors.mean(axis=0)
            )
            n_candidates = n_neighbors if coupling == "nearest" else N_WINDOW
            evidence = overall_evidence(source, target, _temperature(source, target, seed), n_candidates)
        else:
            registration = register(source, target, transform=str(transform), seed=seed)
            registrations.append(registration)
            moved[here] = registration.transformation(positions[here])
            source, target = _aligned_directions(source, target, *registration.centres)
            scale = registration.transformation.scale
            evidence = window_evidence(source, target, moved[here], scale, _temperature(source, target, seed))
        joined = best_of_rows(transport(evidence) if coupling == "transport" else evidence, n_neighbors)
        coupled = np.diff(joined.indptr) > 0
        similarity = np.einsum("nd,nd->n", source.vectors, joined @ target.vectors)
        matched[here[coupled]] = similarity[coupled]
        entries = joined.tocoo()
        parts.append((here[entries.row], there[entries.col], entries.data, float(coupled.mean())))

    target_adata = adata.copy() if copy else adata
    rows, columns, data = (np.concatenate([part[k] for part in parts]) for k in range(3))
    target_adata.obsp[key_added] = sparse.csr_matrix((data, (rows, columns)), shape=(adata.n_obs, adata.n_obs))
    target_adata.obs[f"{key_added}_similarity"] = matched
    if positions is not None:
        target_adata.obsm[f"{spatial_key}_aligned"] = moved
    target_adata.uns[key_added] = {
        "reference": reference,
        "query": np.array(names),
        "slice_key": slice_key,
        "use_rep": use_rep,
        **({} if positions is None else {"spatial_key": spatial_key}),
        "transform": "none" if transform is None else transform,
        "coupling": coupling,
        "n_neighbors": int(n_neighbors),
        "seed": int(seed),
        "coupled": np.array([part[3] for part in parts]),
        **_record(registrations),
    }
    _warn_of_doubtful(names, registrations)
    return target_adata if copy else None


def _query_names(slices: np.ndarray, reference: str, query: str | Sequence[str] | None) -> list[str]:
    there, sizes = np.unique(slices, return_counts=True)
    size = dict(zip(there.tolist(), sizes.tolist(), strict=True))
    others = [name for name in size if name != reference]
    names = others if query is None else [query] if isinstance(query, str) else list(query)
    for argument, name in [("reference", reference), *(("query", name) for name in names)]:
        if name not in size:
            raise KeyError(f"`{argument}` is {name!r}, which is no slice; there are {list(size)}.")
    if reference in names:
        raise ValueError(f"`query` has the reference {reference!r}; leave it out, since it is not moved.")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"`query` is {names}; pass at least one slice beside the reference, each once.")
    small = [name for name in (reference, *names) if size[name] < _MIN_SPOTS]
    if small:
        raise ValueError(
            f"Slice {small[0]!r} has {size[small[0]]} spots; aligning takes at least {_MIN_SPOTS}: leave it out."
        )
    return names


def _read_positions(adata: AnnData, spatial_key: str, slices: np.ndarray) -> np.ndarray:
    if spatial_key not in adata.obsm:
        raise KeyError(f"`spatial_key` is {spatial_key!r}, which is not in `adata.obsm`; there are {list(adata.obsm)}.")
    positions = check_coordinates(adata.obsm[spatial_key], slices)
    if positions.shape[1] != 2:
        raise ValueError(
            f"`adata.obsm[{spatial_key!r}]` has {positions.shape[1]} columns; slices are aligned in a plane: store "
            "the two coordinates in it under another key, and pass that."
        )
    return positions


def _in_order(spots: np.ndarray, vectors: np.ndarray, positions: np.ndarray | None) -> np.ndarray:
    """Order in which draws by number and ties no longer depend on the order of the file."""
    return spots[_lexicographic_order(vectors[spots] if positions is None else positions[spots])]


def _spots(spots: np.ndarray, vectors: np.ndarray, positions: np.ndarray | None) -> Spots:
    if positions is None:
        return Spots(np.zeros((len(spots), 2)), vectors[spots], 0.0)
    points = np.unique(positions[spots], axis=0)
    spacing = float(np.median(cKDTree(points).query(points, k=2)[0][:, 1]))
    return Spots(positions[spots], vectors[spots], spacing)


def _aligned_directions(
    source: Spots, target: Spots, centre: np.ndarray, target_centre: np.ndarray
) -> tuple[Spots, Spots]:
    source = source._replace(vectors=directions(source.vectors - centre))
    return source, target._replace(vectors=directions(target.vectors - target_centre))


def _temperature(source: Spots, target: Spots, seed: int) -> float:
    """Gap of similarity between the most similar spot and the best tenth: the scale on which differences count."""
    rng = np.random.default_rng(seed)
    drawn = [spots.vectors[rng.permutation(len(spots.vectors))[:N_SPOTS]] for spots in (source, target)]
    similarity = drawn[0] @ drawn[1].T
    return float(max(np.median(similarity.max(axis=1) - np.quantile(similarity, 0.9, axis=1)), 1e-6))


def _record(registrations: list[Registration]) -> dict[str, Any]:
    if not registrations:
        return {}
    transformations = [one.transformation for one in registrations]
    return {
        "matrix": np.stack([one.homogeneous for one in transformations]),
        "mirrored": np.array([one.is_mirrored for one in transformations]),
        "scale": np.array([one.scale for one in transformations]),
        "overlap": np.array([one.overlap for one in registrations]),
        "quality": np.array([one.quality for one in registrations]),
        "margin": np.array([one.margin for one in registrations]),
    }


def _warn_of_doubtful(names: list[str], registrations: list[Registration]) -> None:
    for name, one in zip(names, registrations, strict=False):
        if one.quality < MIN_QUALITY:
            doubt = f"spots that lie on each other are not alike (quality {one.quality:.2f})"
        elif one.margin < MIN_MARGIN:
            doubt = f"a mirrored or turned placement is nearly as good (margin {one.margin:.2f})"
        else:
            continue
        warnings.warn(
            f"The placement of slice {name!r} should not be trusted: {doubt}; look at `spotscape.pl.alignment`, "
            "or pass `transform=None`.",
            UserWarning,
            stacklevel=3,
        )
