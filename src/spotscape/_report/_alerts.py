"""What a reader of a report has to know first, in plain words."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from spotscape._report._mixing import shares_unlike_others
from spotscape._report._tables import composition_counts
from spotscape._report._tissue import Tissue
from spotscape.tl._domains import _DIFFERENT, _TIE

#: A slice has low depth if its median is less than this share of the median slice.
_LOW_DEPTH = 0.4
#: Where whole transcriptomes were measured, fewer detected genes than this in the median spot are few.
_WHOLE_TRANSCRIPTOME, _FEW_GENES = 5000, 300
#: Otherwise, fewer counts than this in the median spot are few.
_FEW_COUNTS = 20
_UNLIKE = 0.5
#: Findings that concern few genes.
_HARMLESS = {"genes absent from a slice"}
#: Of more slices with the same finding, only the first has its sentence.
_SLICES_IN_FULL = 2
_LOW_CONFIDENCE = 0.5
_IN_ONE_SLICE = 0.95


class Alert(NamedTuple):
    """A finding, and what to do about it."""

    title: str
    """A few words."""
    text: str
    """Sentences."""
    is_serious: bool
    """Whether it may change the conclusions; otherwise it is good to know."""


def find_alerts(tissue: Tissue, model: Any, notes: Sequence[str]) -> list[Alert]:
    """Findings about data, slices and domains, the serious ones first.

    Parameters
    ----------
    tissue
        Sections with domains.
    model
        Trained model, or ``None``.
    notes
        Further sentences, such as warnings of the analysis.

    Returns
    -------
    The alerts.
    """
    alerts = [
        *_of_data(model),
        *_of_new_slices(tissue, model),
        *_of_slices(tissue),
        *_of_depth(tissue),
        *_of_contamination(tissue),
        *_of_ties(tissue),
        *_of_domains(tissue),
    ]
    said = " ".join(alert.text for alert in alerts)
    # Warnings about ties and contamination have alerts of their own, which say the same for this reader.
    known = ("fit as well as the chosen one", "looks like contamination", "are unlike those that the model")
    alerts += [
        Alert("Reported by the analysis", note, False)
        for note in dict.fromkeys(notes)
        if note not in said and not any(part in note for part in known)
    ]
    return sorted(alerts, key=lambda alert: not alert.is_serious)


def _of_data(model: Any) -> Iterator[Alert]:
    if model is None:
        return
    for finding, rows in model.get_data_findings().groupby("finding", sort=False):
        slices, messages = [name for name in rows["slice"] if name], rows["message"].tolist()
        title, text = f"{finding[:1].upper()}{finding[1:]}", " ".join(messages)
        if slices:
            title += f": {_listed(slices)}"
        if len(slices) > _SLICES_IN_FULL:
            text = f"{messages[0]} It is similar in the other slices named here."
        yield Alert(title, text, finding not in _HARMLESS)


def _of_new_slices(tissue: Tissue, model: Any) -> Iterator[Alert]:
    """Slices out of distribution, in data that the model was not trained on."""
    table = tissue.adata.uns.get("slice_novelty")
    if not isinstance(table, pd.DataFrame) or "out_of_distribution" not in table:
        return
    for name, row in table[table["out_of_distribution"].astype(bool)].iterrows():
        yield Alert(
            f"Slice {name} is out of distribution",
            f"{row['share_novel']:.0%} of its spots are farther from the training data than 99% of the training spots "
            "are from each other. The model has not seen such tissue, or it was prepared or measured in another way. "
            "Do not trust its domains without checking them against the histology.",
            True,
        )


def _of_slices(tissue: Tissue) -> Iterator[Alert]:
    for name, share in zip(tissue.slice_names, shares_unlike_others(tissue), strict=True):
        if share > _UNLIKE:
            yield Alert(
                f"Slice {name} is unlike the others",
                f"{share:.0%} of its spots are farther from all other slices than almost all of their spots are from "
                "each other. Either its tissue differs, or its quality or preparation does. Check it in the map and "
                "in the summary before you compare slices.",
                True,
            )


def _of_depth(tissue: Tissue) -> Iterator[Alert]:
    if tissue.depth is None:
        return
    totals, genes = tissue.depth.totals, tissue.depth.n_detected
    by_slice = [tissue.slices == code for code in range(tissue.n_slices)]
    medians = np.array([np.median(totals[own]) for own in by_slice])
    typical = float(np.median(medians))
    is_low = medians < _LOW_DEPTH * typical
    if is_low.any():
        low = [name for name, one in zip(tissue.slice_names, is_low, strict=True) if one]
        span = f"{medians[is_low].min():,.0f}" + (f" to {medians[is_low].max():,.0f}" if len(low) > 1 else "")
        yield Alert(
            f"Low depth: {_listed(low)}",
            f"The median spot has {span} counts, and {typical:,.0f} in the median slice. Domains are less certain "
            "there, and genes that seem absent may only be undetected.",
            True,
        )
    if tissue.adata.n_vars >= _WHOLE_TRANSCRIPTOME:
        few, what = [np.median(genes[own]) < _FEW_GENES for own in by_slice], f"fewer than {_FEW_GENES} detected genes"
    else:
        few, what = (
            [tissue.depth.is_whole and one < _FEW_COUNTS for one in medians],
            f"fewer than {_FEW_COUNTS} counts",
        )
    if any(few):
        low = [name for name, one in zip(tissue.slice_names, few, strict=True) if one]
        yield Alert(
            f"Few molecules: {_listed(low)}",
            f"The median spot has {what}. Domains may follow depth instead of tissue; compare the map with the counts "
            "that it shows for each spot.",
            True,
        )


def _of_contamination(tissue: Tissue) -> Iterator[Alert]:
    result = tissue.adata.uns.get("markers")
    table = result.get("domains") if isinstance(result, dict) else None
    if not isinstance(table, pd.DataFrame) or not {"domain", "contamination_like", "reason"} <= set(table):
        return
    if result.get("params", {}).get("domain_key") != tissue.domain_key:
        return
    for row in table[table["contamination_like"].astype(bool)].itertuples():
        yield Alert(
            f"Domain {row.domain} looks like contamination",
            f"It looks like contamination or damage rather than tissue: {row.reason}. Look at it in the map and in the "
            "histology before you interpret it.",
            True,
        )


def _of_ties(tissue: Tissue) -> Iterator[Alert]:
    found = tissue.result.get("alternatives")
    if not found or len(found["excess"]) < 2:
        return
    excess, agreement = np.asarray(found["excess"]), np.asarray(found["agreement"])[0]
    tied = (np.abs(excess - excess[0]) < _TIE) & (agreement < _DIFFERENT)
    if tied.any():
        yield Alert(
            "Other domains fit as well",
            f"{tied.sum()} other way(s) of dividing the tissue into this number of domains fit the data as well as the "
            f"one shown and differ from it (agreement down to {agreement[tied].min():.2f}, where 1 is identical). "
            "Treat borders with low confidence as undecided, or try another number of domains. "
            "spotscape.pl.alternatives draws the others.",
            True,
        )


def _of_domains(tissue: Tissue) -> Iterator[Alert]:
    counts = composition_counts(tissue)
    if tissue.n_slices > 2:
        sizes = counts.sum(axis=0)
        for name in counts.columns[(sizes > 0) & (counts.max(axis=0) >= _IN_ONE_SLICE * sizes)]:
            where = counts[name].idxmax()
            yield Alert(
                f"Domain {name} is in one slice",
                f"{counts[name].max() / sizes[name]:.0%} of its spots are in slice {where}. This may be biology, such "
                "as a tumour of one patient, or a difference in preparation.",
                False,
            )
    if tissue.confidence is None:
        return
    for number, name in enumerate(tissue.domains.categories):
        values = tissue.confidence[tissue.domains.codes == number]
        values = values[np.isfinite(values)]
        if len(values) and np.median(values) < _LOW_CONFIDENCE:
            yield Alert(
                f"Domain {name} is uncertain",
                f"The median confidence of its spots is {np.median(values):.2f}. They lie between domains; do not "
                "build a conclusion on its borders.",
                False,
            )


def _listed(slices: Sequence[str]) -> str:
    return f"slice{'' if len(slices) == 1 else 's'} {', '.join(slices)}"
