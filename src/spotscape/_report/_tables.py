"""Tables of a report: one line a slice, one line a domain, and composition."""

from typing import Any

import numpy as np
import pandas as pd

from spotscape._report._tissue import Tissue


def summary_table(tissue: Tissue) -> list[dict[str, Any]]:
    """One line a slice: spots, median genes and counts, domains found, and median confidence."""
    lines = []
    for code, name in enumerate(tissue.slice_names):
        own = tissue.slices == code
        line: dict[str, Any] = {"slice": name, "n_spots": int(own.sum())}
        if tissue.depth is not None:
            line["genes"] = float(np.median(tissue.depth.n_detected[own]))
            line["counts"] = float(np.median(tissue.depth.totals[own]))
        codes = tissue.domains.codes[own]
        line["n_domains"] = len(np.unique(codes[codes >= 0]))
        if tissue.confidence is not None:
            line["confidence"] = _median(tissue.confidence[own])
        lines.append(line)
    return lines


def domain_table(tissue: Tissue) -> list[dict[str, Any]]:
    """One line a domain: spots, share, slices, largest slice and confidence."""
    counts = composition_counts(tissue)
    sizes = counts.sum(axis=0)
    lines = []
    for number, name in enumerate(tissue.domains.categories):
        own = tissue.domains.codes == number
        size = int(sizes.iloc[number])
        line: dict[str, Any] = {
            "domain": str(name),
            "color": tissue.colors[number],
            "n_spots": size,
            "share": size / max(1, int(sizes.sum())),
            "n_slices": int((counts.iloc[:, number] > 0).sum()),
        }
        if tissue.confidence is not None and size:
            line["confidence"] = _median(tissue.confidence[own])
            line["unsure"] = float(np.mean(tissue.confidence[own] < 0.5))
        lines.append(line)
    return lines


def composition_counts(tissue: Tissue) -> pd.DataFrame:
    """Number of spots of each slice and domain. ``(n_slices, n_domains)``."""
    codes = tissue.domains.codes.astype(np.int64)
    known = codes >= 0
    n_domains = len(tissue.domains.categories)
    flat = np.bincount(tissue.slices[known] * n_domains + codes[known], minlength=tissue.n_slices * n_domains)
    return pd.DataFrame(
        flat.reshape(tissue.n_slices, n_domains),
        index=pd.Index(tissue.slice_names, name="slice"),
        columns=pd.Index([str(name) for name in tissue.domains.categories], name="domain"),
    )


def marker_table(tissue: Tissue, n_genes: int = 10) -> dict[str, list[dict[str, Any]]]:
    """Top markers of each domain, from the result of ``tl.markers``; empty without one."""
    result = tissue.adata.uns.get("markers")
    table = result.get("table") if isinstance(result, dict) else None
    needed = {"domain", "gene", "score", "log2_fold_change", "p_adjusted", "fraction", "fraction_reference"}
    if not isinstance(table, pd.DataFrame) or not needed <= set(table):
        return {}
    if result.get("params", {}).get("domain_key") != tissue.domain_key:
        return {}
    chosen = table[(table["p_adjusted"] <= 0.05) & (table["log2_fold_change"] >= 0.5)]
    chosen = chosen.sort_values("score", ascending=False, kind="stable")
    return {
        str(name): chosen[chosen["domain"].astype(str) == str(name)].head(n_genes)[sorted(needed)].to_dict("records")
        for name in tissue.domains.categories
    }


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None
