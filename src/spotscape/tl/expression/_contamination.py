"""Which domains are more likely contamination than tissue."""

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from spotscape.tl.expression._counts import Counts
from spotscape.tl.expression._rank_sum import rank_sum_tests

# Values that the user guide explains. They were set with one contaminated domain at hand, so they only raise a flag.
_MAX_SHARE = 0.05
_MIN_SPOTS = 20
_MIN_IN_ONE_SLICE = 0.9
_MAX_SPREAD = 1.5
_MIN_OFFSET = 0.75
# Of the genes that differ from the spots around: at most this share of the measured genes, or this many, ...
_MAX_SHARE_OF_GENES = 0.01
_MAX_FEW_GENES = 20
# ... of which those that are about threefold or more carry this share of the signal, and are at least three.
_MIN_LOG2_FOLD_CHANGE = 1.5
_MIN_GAINED_SHARE = 0.5
_MIN_GAINED_GENES = 3
# In a small panel, which is chosen for its markers, few genes are all that can differ.
_MIN_GENES = 500
_MIN_MITOCHONDRIAL_RATIO = 2.0
_MITOCHONDRIAL = ("MT-", "mt-", "Mt-")


def describe_domains(
    counts: Counts, labels: pd.Categorical, slices: np.ndarray, coordinates: np.ndarray | None
) -> pd.DataFrame:
    """Describe size, position and distinctness of each domain, and flag those that look like contamination.

    Parameters
    ----------
    counts
        Counts of all measured genes.
    labels
        Domain of each spot. ``(n_spots,)``.
    slices
        Name of the slice of each spot. ``(n_spots,)``.
    coordinates
        Positions. ``(n_spots, 2)``. If ``None``, no domain is flagged.

    Returns
    -------
    One row per domain, as described in :func:`spotscape.tl.markers`.
    """
    annotated = labels.notna()
    mitochondrial = counts.genes.str.startswith(_MITOCHONDRIAL)
    rows = []
    for domain in labels.categories:
        inside = np.asarray(labels == domain)
        names, sizes = np.unique(slices[inside], return_counts=True)
        main = names[sizes.argmax()]
        in_slice = (slices == main) & annotated
        row = {
            "domain": domain,
            "n_spots": int(inside.sum()),
            "share": inside.sum() / annotated.sum(),
            "largest_slice": str(main),
            "share_in_largest_slice": sizes.max() / sizes.sum(),
            "share_of_largest_slice": sizes.max() / in_slice.sum(),
            "spread": np.nan,
            "offset": np.nan,
            "n_local_genes": -1,
            "n_gained_genes": -1,
            "gained_share": np.nan,
        }
        if coordinates is not None:
            row["spread"], row["offset"] = _shape(coordinates[in_slice], inside[in_slice])
        if mitochondrial.any():
            row["mitochondrial_share"] = _pooled_share(counts, mitochondrial, inside)
            row["mitochondrial_share_reference"] = _pooled_share(counts, mitochondrial, annotated & ~inside)
        reasons = []
        if coordinates is not None and _is_small_patch(row):
            row |= _local_contrast(counts, inside & in_slice, in_slice, coordinates)
            reasons = _reasons(row, len(counts.genes))
        rows.append(row | {"contamination_like": bool(reasons), "reason": "; ".join(reasons)})
    table = pd.DataFrame(rows)
    table["domain"] = pd.Categorical(table["domain"], categories=labels.categories)
    return table


def _shape(positions: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Spread of a domain relative to a disc of its size, and distance of its centre from that of the slice.

    Both are measured in radii of gyration. A disc with a share s of the spots of a disc has a spread of 1.
    """
    centre = positions.mean(axis=0)
    radius = np.sqrt(((positions - centre) ** 2).sum(axis=1).mean())
    own = positions[inside]
    middle = own.mean(axis=0)
    spread = np.sqrt(((own - middle) ** 2).sum(axis=1).mean())
    if radius == 0:
        return np.nan, np.nan
    return float(spread / radius / np.sqrt(inside.mean())), float(np.linalg.norm(middle - centre) / radius)


def _is_small_patch(row: dict) -> bool:
    return (
        row["n_spots"] >= _MIN_SPOTS
        and row["share_of_largest_slice"] <= _MAX_SHARE
        and row["share_in_largest_slice"] >= _MIN_IN_ONE_SLICE
        and row["spread"] <= _MAX_SPREAD
        and row["offset"] >= _MIN_OFFSET
    )


def _local_contrast(
    counts: Counts, inside: np.ndarray, in_slice: np.ndarray, coordinates: np.ndarray
) -> dict[str, float | int]:
    """Compare a patch with twice as many spots around it, which have the same tissue if it is contamination."""
    outside = np.flatnonzero(in_slice & ~inside)
    distance = KDTree(coordinates[inside]).query(coordinates[outside])[0]
    near = outside[np.argsort(distance, kind="stable")[: 2 * int(inside.sum())]]
    codes = np.where(inside, 0, -1)
    codes[near] = 1
    found = rank_sum_tests(counts, pd.Categorical.from_codes(codes, ["patch", "around"]), ["patch"], "around")
    significant = found[found["p_adjusted"] < 0.05]
    signal = significant["score"].to_numpy() ** 2
    # Contamination adds transcripts to those of the tissue; a tissue also lacks some, and differs in many by a little.
    gained = (significant["log2_fold_change"] >= _MIN_LOG2_FOLD_CHANGE).to_numpy()
    return {
        "n_local_genes": len(significant),
        "n_gained_genes": int(gained.sum()),
        "gained_share": float(signal[gained].sum() / signal.sum()) if len(signal) else 0.0,
    }


def _reasons(row: dict, n_genes: int) -> list[str]:
    reasons = []
    is_few = n_genes >= _MIN_GENES and row["n_local_genes"] <= max(_MAX_FEW_GENES, _MAX_SHARE_OF_GENES * n_genes)
    if is_few and row["n_gained_genes"] >= _MIN_GAINED_GENES and row["gained_share"] >= _MIN_GAINED_SHARE:
        reasons.append(
            f"only {row['n_local_genes']} of {n_genes} genes differ from the spots around it, and "
            f"{row['n_gained_genes']} strongly increased ones carry {row['gained_share']:.0%} of the difference"
        )
    share, elsewhere = row.get("mitochondrial_share", 0.0), row.get("mitochondrial_share_reference", 0.0)
    if elsewhere > 0 and share >= _MIN_MITOCHONDRIAL_RATIO * elsewhere:
        reasons.append(f"{share:.0%} of its counts are mitochondrial, {elsewhere:.0%} elsewhere")
    if not reasons:
        return []
    return [f"one patch off the centre with {row['share_of_largest_slice']:.1%} of its slice", *reasons]


def _pooled_share(counts: Counts, genes: np.ndarray, spots: np.ndarray) -> float:
    totals = np.asarray(counts.matrix[spots].sum(axis=0)).ravel()
    return float(totals[genes].sum() / max(totals.sum(), 1.0))
