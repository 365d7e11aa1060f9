"""Alignment of slices with a reference slice, and coupling of their spots."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.spatial import cKDTree

from spotscape._arguments import check_call
from spotscape._bars import progress_bar
from spotscape._places import Places
from spotscape._slices import name_of_slice, need_slice_key, read_slices, requested_slices
from spotscape._uns import without_none
from spotscape._validate import check_choice, check_integer, check_name, check_present
from spotscape.graph import check_coordinates
from spotscape.graph._checks import as_positions
from spotscape.tl._domains import _lexicographic_order
from spotscape.tl._representation import read_representation
from spotscape.tl.alignment._coupling import (
    MAX_CANDIDATES,
    global_affinities,
    keep_largest,
    local_affinities,
    unbalanced_transport,
)
from spotscape.tl.alignment._registration import N_SPOTS, Registration, Spots, register
from spotscape.tl.alignment._transformation import TRANSFORMS

COUPLINGS = ("nearest", "transport")
#: Below these values a warning is given: the placement explains less than half of the possible similarity, or another
#: orientation explains nearly as much.
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

    Each slice is placed so that its spots lie on reference spots with a similar representation. Spot :math:`i` of the
    slice is then coupled with the reference spots :math:`j` of largest weight

    .. math::

        w_{ij} = \exp\left( -\frac{\|T x_i - x_j\|^2}{2 h^2} + \frac{s_{ij}}{\tau} \right)

    with the transformation :math:`T`, the cosine similarity :math:`s` of the representations, a width :math:`h` of two
    spacings of the coarser slice, and a temperature :math:`\tau`: the difference in similarity between the most similar
    reference spot and the top tenth, as a median over spots. Representations are centred in the overlap of the slices,
    which makes the result insensitive to batch effects and to tissue that only one slice has.

    Parameters
    ----------
    adata
        Annotated data with at least two slices of at least ten spots.
    reference
        Name of the slice whose coordinate system is used.
    query
        Name or names of the slices to align, each independently. If ``None``, all except the reference.
    use_rep
        Key of the representation in ``adata.obsm``, from any package, or ``"X"``. It must be comparable between slices,
        for example from a model that was trained on all of them.
    slice_key
        Column of ``adata.obs`` with the slice of each spot. If ``None``, the one with which the spatial graph was
        built, otherwise ``"slice"``.
    spatial_key
        Key of the coordinates in ``adata.obsm``, two columns in any unit. Not used if ``transform`` is ``None``.
    transform
        ``"rigid"``: rotation and shift. ``"similarity"``: also a scale, for slices whose coordinates have different
        units. ``"affine"``: also shear and separate scales in both directions. Mirrored slices are recognised in all
        three. ``None``: spots are coupled by the representation alone, centred in each slice.
    coupling
        ``"nearest"``: each spot with the reference spots of largest weight. ``"transport"``: all spots jointly by
        unbalanced optimal transport, which avoids that many spots share few counterparts.
    n_neighbors
        Maximum number of reference spots coupled with a spot.
    key_added
        Key of the coupling in ``adata.obsp`` and of the parameters in ``adata.uns``.
    seed
        Seed of the random subsets and proposals in the search for the placement.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets

    ``.obsm[f"{spatial_key}_aligned"]``
        Coordinates in the coordinate system of the reference, whose own coordinates are unchanged. Missing in slices
        that are neither reference nor query. Not set if ``transform`` is ``None``. ``(n_spots, 2)``.
    ``.obsp[key_added]``
        Coupling, with query spots in rows and reference spots in columns. Rows sum to one; they are empty for spots
        farther than two spacings from the reference. Sparse, ``(n_spots, n_spots)``.
    ``.obs[f"{key_added}_similarity"]``
        Weighted mean cosine similarity of each query spot to the spots it is coupled with, missing if there are none.
    ``.uns[key_added]``
        The parameters and, for each slice in ``query``: ``coupled``, the share of its spots with a counterpart, and,
        unless ``transform`` is ``None``,

        * ``matrix``: the transformation of columns :math:`(x, y, 1)`, ``(n_query, 3, 3)``;
        * ``mirrored`` and ``scale``: whether it includes a reflection, and its scale factor;
        * ``overlap``: share of spots within one spacing of the reference;
        * ``quality``: similarity of these spots to the reference below them, 0 as by chance, 1 as of the most similar
          spots anywhere;
        * ``margin``: by which share the score exceeds that of the best placement that is mirrored or rotated by more
          than 45 degrees relative to it.

    Raises
    ------
    KeyError
        If a key or a slice does not exist.
    ValueError
        If coordinates or representation are invalid, a slice is too small, or an argument is out of range.

    Warns
    -----
    UserWarning
        If ``quality`` is below 0.5 or ``margin`` is below 0.05: the placement is unreliable.

    Examples
    --------
    Two slices of the same tissue, one of them rotated. The representation is the position in the tissue.

    >>> import numpy as np
    >>> import spotscape as sps
    >>> from anndata import AnnData
    >>> positions = np.indices((6, 5)).reshape(2, -1).T.astype(float)
    >>> rotation = np.array([[0.0, -1.0], [1.0, 0.0]])
    >>> adata = AnnData(obsm={"X_tissue": np.tile(positions, (2, 1))})
    >>> adata.obsm["spatial"] = np.concatenate([positions, positions @ rotation.T])
    >>> adata.obs["slice"] = np.repeat(["first", "second"], len(positions))
    >>> sps.tl.align(adata, reference="first", use_rep="X_tissue")
    >>> bool(np.allclose(adata.obsm["spatial_aligned"][30:], positions, atol=0.1))
    True
    """
    check_call(align, locals())
    check_choice(transform, (*TRANSFORMS, None), "transform")
    check_choice(coupling, COUPLINGS, "coupling")
    check_integer(n_neighbors, "n_neighbors", minimum=1, maximum=MAX_CANDIDATES)
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    check_name(key_added, "key_added", "an entry of `adata.obsp`")
    slice_key = need_slice_key(adata, slice_key)
    slices = read_slices(adata, slice_key).to_numpy(str)
    reference = name_of_slice(reference)
    names = _query_names(slices, slice_key, reference, query)
    vectors = read_representation(adata, use_rep, seed=seed).astype(np.float64)
    positions = None if transform is None else _read_positions(adata, spatial_key, slices)

    reference_rows = _sorted_rows(slices == reference, vectors, positions)
    aligned = np.full((adata.n_obs, 2), np.nan)
    if positions is not None:
        aligned[reference_rows] = positions[reference_rows]
    similarity = np.full(adata.n_obs, np.nan)
    entries, coupled_shares, registrations = [], [], []
    for name in progress_bar(names, desc="Aligning", unit="slice", leave=False, delay=2):
        rows = _sorted_rows(slices == name, vectors, positions)
        source, target = (_select(spots, vectors, positions) for spots in (rows, reference_rows))
        if positions is None:
            source, target = (spots.centred(spots.vectors.mean(axis=0)) for spots in (source, target))
            n_candidates = n_neighbors if coupling == "nearest" else MAX_CANDIDATES
            affinities = global_affinities(source, target, _temperature(source, target, seed), n_candidates)
        else:
            found = register(source, target, transform=str(transform), seed=seed)
            registrations.append(found)
            aligned[rows] = found.transformation(positions[rows])
            source, target = source.centred(found.centres[0]), target.centred(found.centres[1])
            temperature = _temperature(source, target, seed)
            affinities = local_affinities(source, target, aligned[rows], found.transformation.scale, temperature)
        if coupling == "transport":
            affinities = unbalanced_transport(affinities)
        weights = keep_largest(affinities, n_neighbors)
        coupled = np.diff(weights.indptr) > 0
        similarity[rows[coupled]] = np.einsum("nd,nd->n", source.vectors, weights @ target.vectors)[coupled]
        coupled_shares.append(float(coupled.mean()))
        weights = weights.tocoo()
        entries.append((weights.data, rows[weights.row], reference_rows[weights.col]))

    target_adata = adata.copy() if copy else adata
    data, row, column = map(np.concatenate, zip(*entries, strict=True))
    target_adata.obsp[key_added] = sparse.csr_matrix((data, (row, column)), shape=(adata.n_obs, adata.n_obs))
    target_adata.obs[f"{key_added}_similarity"] = similarity
    if positions is not None:
        target_adata.obsm[f"{spatial_key}_aligned"] = aligned
    target_adata.uns[key_added] = without_none(
        {
            "reference": reference,
            "query": np.array(names),
            "slice_key": slice_key,
            "use_rep": use_rep,
            **({} if positions is None else {"spatial_key": spatial_key}),
            "transform": "none" if transform is None else transform,
            "coupling": coupling,
            "n_neighbors": int(n_neighbors),
            "seed": int(seed),
            "coupled": np.array(coupled_shares),
            **_summarise(registrations),
        }
    )
    _warn_if_unreliable(names, registrations)
    return target_adata if copy else None


def _query_names(slices: np.ndarray, slice_key: str, reference: str, query: str | Sequence[str] | None) -> list[str]:
    """Names of the slices to align."""
    unique, counts = np.unique(slices, return_counts=True)
    size = dict(zip(unique.tolist(), counts.tolist(), strict=True))
    others = [name for name in size if name != reference]
    names = others if query is None else requested_slices(query)
    for argument, name in [("reference", reference), *(("query", name) for name in names)]:
        check_present(name, argument, size, f"adata.obs[{slice_key!r}]")
    if reference in names:
        raise ValueError(f"`query` includes the reference {reference!r}; omit it, because it is not moved.")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"`query` is {names}; pass at least one slice besides the reference, and each only once.")
    small = [name for name in (reference, *names) if size[name] < _MIN_SPOTS]
    if small:
        raise ValueError(
            f"Slice {small[0]!r} has {size[small[0]]} spots, but alignment needs at least {_MIN_SPOTS}; omit the slice."
        )
    return names


def _read_positions(adata: AnnData, spatial_key: str, slices: np.ndarray) -> np.ndarray:
    check_present(spatial_key, "spatial_key", adata.obsm, "adata.obsm")
    places = Places(adata.obs_names, slices=pd.Series(slices))
    positions = check_coordinates(as_positions(adata.obsm[spatial_key], places), slices)
    if positions.shape[1] != 2:
        raise ValueError(
            f"`adata.obsm[{spatial_key!r}]` has {positions.shape[1]} columns, but alignment is in two dimensions; "
            "store two coordinates under another key, and pass that."
        )
    return positions


def _sorted_rows(selected: np.ndarray, vectors: np.ndarray, positions: np.ndarray | None) -> np.ndarray:
    """Rows of the selected spots, in an order that does not depend on the order in the data."""
    rows = np.flatnonzero(selected)
    return rows[_lexicographic_order(vectors[rows] if positions is None else positions[rows])]


def _select(rows: np.ndarray, vectors: np.ndarray, positions: np.ndarray | None) -> Spots:
    if positions is None:
        return Spots(np.zeros((len(rows), 2)), vectors[rows], 0.0)
    points = np.unique(positions[rows], axis=0)
    spacing = float(np.median(cKDTree(points).query(points, k=2)[0][:, 1]))
    return Spots(positions[rows], vectors[rows], spacing)


def _temperature(source: Spots, target: Spots, seed: int) -> float:
    """Difference in similarity between the most similar spot and the top tenth, the scale of relevant differences."""
    rng = np.random.default_rng(seed)
    drawn = [spots.vectors[rng.permutation(len(spots.vectors))[:N_SPOTS]] for spots in (source, target)]
    similarity = drawn[0] @ drawn[1].T
    return float(max(np.median(similarity.max(axis=1) - np.quantile(similarity, 0.9, axis=1)), 1e-6))


def _summarise(registrations: list[Registration]) -> dict[str, Any]:
    if not registrations:
        return {}
    transformations = [found.transformation for found in registrations]
    return {
        "matrix": np.stack([found.homogeneous for found in transformations]),
        "mirrored": np.array([found.is_mirrored for found in transformations]),
        "scale": np.array([found.scale for found in transformations]),
    } | {key: np.array([getattr(found, key) for found in registrations]) for key in ("overlap", "quality", "margin")}


def _warn_if_unreliable(names: list[str], registrations: list[Registration]) -> None:
    for name, found in zip(names, registrations, strict=False):
        if found.quality < MIN_QUALITY:
            reason = f"spots that lie on each other are not similar (quality {found.quality:.2f})"
        elif found.margin < MIN_MARGIN:
            reason = f"a mirrored or rotated placement is nearly as good (margin {found.margin:.2f})"
        else:
            continue
        warnings.warn(
            f"The placement of slice {name!r} is unreliable: {reason}; check it with `spotscape.pl.alignment`, or pass "
            "`transform=None`.",
            UserWarning,
            stacklevel=3,
        )
