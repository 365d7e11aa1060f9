"""Checks of each slice of the data, which the checks of the whole do not see."""

import re

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from spotscape._constants import MEASURED_SLICES_KEY
from spotscape.data._findings import Findings
from spotscape.preprocessing._subsample import evenly_spaced_rows
from spotscape.preprocessing._value_summary import ValueSummary

_MIN_SPOTS = 20
# Genes of one donor only, such as those of the Y chromosome or of a tumour, are fewer: 1.4 % at most in four tumours.
_SHARE_NOT_MEASURED = 0.02
_SHARE_TO_NOTE = 0.005
_MIN_GENES = 3
_N_SPOTS_LAYOUT = 2000
_MAX_SLICES_DIVIDED = 20
_SLICE_WORDS = (
    "slice|section|sample|library|batch|donor|patient|subject|specimen|slide|puck|mouse|animal|individual|replicate|"
    "experiment|dataset|capture.?area|orig.?ident|^run$|^rep$"
)


def check_slices(
    summary: ValueSummary, slices: pd.Series, genes: pd.Index, values: str, advice: str, findings: Findings
) -> None:
    """Check the expression of each slice.

    Parameters
    ----------
    summary
        Summary of the expression with genes counted by slice.
    slices
        Slice of each spot, categorical. ``(n_spots,)``.
    genes
        Names of the genes.
    values
        Declared scale of the expression, or ``"auto"``.
    advice
        Result of :func:`how_to_keep_measured`.
    findings
        Receives what is noticed.

    Raises
    ------
    ValueError
        If a slice has no expression in most of its spots, slices have different scales, or genes were not measured in
        a slice.
    """
    names, codes = list(slices.cat.categories), slices.cat.codes.to_numpy()
    spots_of = [np.flatnonzero(codes == code) for code in range(len(names))]
    for name, spots in zip(names, spots_of, strict=True):
        n_empty = int((summary.totals[spots] == 0).sum())
        if 2 * n_empty > len(spots):
            raise ValueError(
                f"In slice {name!r}, {n_empty} of {len(spots)} spots have no expression; remove the slice, or its "
                "spots outside the tissue, or check that its counts are in the layer that is read."
            )
    _check_scales(summary, names, spots_of, values, findings)
    if len(names) > 1:
        _check_genes(summary, names, spots_of, genes, advice, findings)


def _check_scales(
    summary: ValueSummary, names: list[str], spots_of: list[np.ndarray], values: str, findings: Findings
) -> None:
    if summary.is_whole:
        return
    kinds = {
        name: kind
        for name, spots in zip(names, spots_of, strict=True)
        if (kind := summary.recognise(spots)) == "counts" or len(spots) >= _MIN_SPOTS
    }
    if len(set(kinds.values())) < 2:
        return
    one, other = (
        next(name for name, kind in kinds.items() if kind == wanted) for wanted in sorted(set(kinds.values()))[:2]
    )
    message = (
        f"The slices hold different kinds of values: {kinds[one]} in slice {one!r}, and {kinds[other]} in slice "
        f"{other!r}"
    )
    if values == "counts":
        findings.note("different kinds of values", f"{message}; all are used as counts, as declared.", slice_name=other)
        return
    raise ValueError(f"{message}; give all slices the same kind, preferably raw counts.")


def _check_genes(
    summary: ValueSummary,
    names: list[str],
    spots_of: list[np.ndarray],
    genes: pd.Index,
    advice: str,
    findings: Findings,
) -> None:
    expected, absent = summary.absent_genes(spots_of)
    for name, n_expected, own in zip(names, expected.sum(axis=1), absent, strict=True):
        if own.sum() < _MIN_GENES or own.sum() <= _SHARE_TO_NOTE * n_expected:
            continue
        message = (
            f"{own.sum()} genes, such as {', '.join(map(repr, genes[own][:3]))}, are zero in all spots of slice "
            f"{name!r} and expressed in other slices"
        )
        if own.sum() > _SHARE_NOT_MEASURED * n_expected:
            raise ValueError(
                f"{message}; they were probably not measured there, and their zeros would set the slice apart. "
                + advice
            )
        findings.note("genes absent from a slice", f"{message}.", slice_name=name, warn=False)


def how_to_keep_measured(slice_key: str, layer: str | None) -> str:
    """Sentence that tells how to keep the genes measured in every slice."""
    arguments = repr(slice_key) if layer is None else f"{slice_key!r}, layer={layer!r}"
    return (
        "Keep the genes measured in every slice: "
        f"`adata = adata[:, spotscape.pp.measured_genes(adata, {arguments})].copy()`."
    )


def check_marked_genes(measured: pd.DataFrame, slices: pd.Series, advice: str) -> None:
    """Raise ``ValueError`` if genes are marked as not measured in a slice of the data.

    Parameters
    ----------
    measured
        ``varm["measured"]``: whether each gene was measured in each slice. ``(n_genes, n_slices)``.
    slices
        Slice of each spot, categorical.
    advice
        Result of :func:`how_to_keep_measured`.
    """
    for name in slices.cat.categories:
        if name in measured and (n_absent := int((~measured[name].astype(bool)).sum())):
            raise ValueError(
                f"{n_absent} genes were not measured in slice {name!r}, as `varm[{MEASURED_SLICES_KEY!r}]` says. "
                + advice
            )


def note_mixed_sections(
    obs: pd.DataFrame, coordinates: np.ndarray, slice_key: str | None, slices: pd.Series | None, findings: Findings
) -> None:
    """Warn if a column divides a slice into sections that overlap in space.

    Without slices, any column is looked at, and otherwise those with a name like that of slices.

    Parameters
    ----------
    obs
        Columns of the spots.
    coordinates
        Coordinates of the spots. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    slice_key, slices
        Column with the slices, and the slice of each spot, categorical. ``None``: all spots are one slice.
    findings
        Receives what is noticed.
    """
    of_spot = np.zeros(len(obs), dtype=int) if slices is None else slices.cat.codes.to_numpy()
    for name in obs.columns:
        column = obs[name]
        named = re.search(_SLICE_WORDS, str(name), re.IGNORECASE) is not None
        may_be_any = slices is None and not pd.api.types.is_float_dtype(column)
        if name == slice_key or str(name).startswith("_scvi") or not (named or may_be_any) or column.isna().any():
            continue
        try:
            codes, labels = pd.factorize(column)
        except TypeError:
            continue
        if len(labels) * _MIN_SPOTS > len(obs):
            continue
        pairs = np.unique(of_spot * len(labels) + codes) // len(labels)
        divided = np.flatnonzero(np.bincount(pairs) > 1)
        for code in divided[:_MAX_SLICES_DIVIDED]:
            spots = np.flatnonzero(of_spot == code)
            groups = np.unique(codes[spots], return_inverse=True)[1]
            sizes = np.bincount(groups)
            if sizes.min() < _MIN_SPOTS or not _overlap(coordinates[spots], groups, len(sizes), named=named):
                continue
            where = "" if slices is None else f" in slice {slices.cat.categories[code]!r}"
            instead = "" if slice_key is None else f" instead of {slice_key!r}"
            findings.note(
                "sections in one slice",
                f"The {len(sizes)} groups of `adata.obs[{str(name)!r}]`{where} overlap in space like different "
                f"sections, and their spots become neighbours; if they are sections, pass "
                f"`slice_key={str(name)!r}`{instead}.",
                slice_name="" if slices is None else str(slices.cat.categories[code]),
            )
            return


def _overlap(coordinates: np.ndarray, codes: np.ndarray, n_groups: int, *, named: bool) -> bool:
    """Whether groups of spots cover the same places, each as evenly as a section does.

    If the column is named like one of slices, groups that overlap are enough. Otherwise each must also be a lattice of
    its own, and not a row of one: cell types and domains of a single section are neither.
    """
    spacing = np.empty(n_groups)
    trees = []
    for code in range(n_groups):
        own = coordinates[codes == code]
        trees.append(cKDTree(own))
        nearest = trees[-1].query(own, k=2)[0][:, 1]
        spacing[code] = np.median(nearest)
        if not named:
            deviation = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(own.T))[-2:], 0))
            is_row = deviation[0] < 0.1 * deviation[1]
            if is_row or np.mean(abs(nearest - spacing[code]) <= 0.02 * spacing[code]) < 0.9:
                return False
    some = evenly_spaced_rows(len(codes), _N_SPOTS_LAYOUT)
    distances = np.stack([tree.query(coordinates[some])[0] for tree in trees], axis=1)
    distances[np.arange(len(some)), codes[some]] = np.inf
    # In one lattice, a spot of another group is at least one spacing away.
    close = (distances < (1.5 if named else 0.9) * spacing[codes[some], None]).any(axis=1)
    return bool(close.mean() > (0.2 if named else 0.5))
