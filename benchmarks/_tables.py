"""Results of the accuracy benchmark as tables, tests and a picture."""

from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from _floors import FLOORS
from scipy.stats import wilcoxon

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS = "SPOTSCAPE"
READOUTS = ("k-means", "mixture", "tl.domains")
METRICS = {"nmi": "NMI", "ca": "CA", "boundary_ca": "CA at boundaries", "interior_ca": "CA inside"}
COLUMNS = [
    *("section", "n_spots", "n_domains", "method", "variant", "seed", "readout", "ari", "nmi", "ca", "boundary_ca"),
    *("interior_ca", "seconds", "graph_connectivity", "silhouette_batch"),
]
#: Read-out of ours and that of the floors which it is compared with.
PAIRS = (("k-means", "k-means"), ("tl.domains", "mixture"))


class Published(NamedTuple):
    """Figures of a paper for one slice."""

    slice: str
    method: str
    protocol: str
    ari: float
    nmi: float | None = None
    ca: float | None = None


_SPOTSCAPE = ("Spotscape (ICML 2025)", "mean of 10 seeds, k-means on the representation, K of the annotation")
_GRAPHST = ("GraphST", "mclust (R) on 20 components, then labels refined by those of spatial neighbours")
_SEDR = ("SEDR, run again for Spotscape (ICML 2025)", _SPOTSCAPE[1])
#: Single sections of human cortex (seven layers); the learning rate of the first was chosen for these data.
PUBLISHED = {
    "SPOTSCAPE": (
        Published("151673", *_SPOTSCAPE, ari=0.48, nmi=0.64, ca=0.61),
        Published("151675", *_SPOTSCAPE, ari=0.45, nmi=0.60, ca=0.59),
        Published("151673", *_GRAPHST, ari=0.638),
        Published("151675", *_GRAPHST, ari=0.630),
    ),
    "SEDR": (
        Published("151673", *_SEDR, ari=0.36),
        Published("151675", *_SEDR, ari=0.33),
    ),
}


def is_joint(section: str) -> bool:
    """Whether a section is of several slices, by its name."""
    return section.endswith(" joint") or " + " in section


def read_results(path: Path) -> pd.DataFrame:
    """Read the rows, of which the last may have been cut off when a run was ended."""
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    text = path.read_text()
    if not text.endswith("\n"):
        path.write_text(text[: text.rfind("\n") + 1])
    if not path.stat().st_size:
        path.unlink()
        return pd.DataFrame(columns=COLUMNS)
    results = pd.read_csv(path, dtype={"section": str, "variant": str})
    return results.assign(variant=results["variant"].fillna(""))


def write_summary(results: pd.DataFrame, path: Path, ours: str = OURS) -> None:
    """Write all tables as Markdown; ``ours`` is the model that is compared with the rest."""
    results = results.assign(name=_names(results))
    parts = [
        "# Accuracy",
        "Mean ± standard deviation over seeds: of the model, or of the read-out for principal components.",
    ]
    parts += [f"Last column: mean over the sections, and on how many if not all {results['section'].nunique()}."]
    for readout in READOUTS:
        parts += [f"## ARI, {readout}", _table_of_methods(results, readout, ours)]
    parts += ["## Other metrics of the default model", _table_of_metrics(results, ours)]
    parts += ["## The default model against principal components (ARI)", _table_of_tests(results, ours)]
    parts += [
        "Over the means of sections; P of the two-sided Wilcoxon signed-rank test. Joint sections share their spots "
        "with single ones, so single sections are also tested alone."
    ]
    if (connectivity := _table_of_integration(results)) is not None:
        parts += ["## Integration of slices", connectivity]
    if (published := _table_of_published(results, ours)) is not None:
        parts += ["## Published figures", published]
    collapsed = results[(results["ari"] == 0) & (results["nmi"] == 0)]
    for name, section in sorted(set(zip(collapsed["name"], collapsed["section"], strict=True))):
        parts.append(f"Without structure (collapsed or diverged) in at least one run: {name}, {section}.")
    path.write_text("\n\n".join(parts) + "\n")


def write_figure(results: pd.DataFrame, path: Path, ours: str = OURS) -> None:
    """Draw ARI of each section: the default model, principal components and published figures."""
    series = [
        (ours, "default", "k-means", "#D55E00", "o"),
        (ours, "default", "tl.domains", "#0072B2", "D"),
        *(
            (floor, "", readout, color, marker)
            for floor, color in zip(FLOORS, ("#C4C4C4", "#8F8F8F", "#4D4D4D"), strict=True)
            for readout, marker in (("k-means", "o"), ("mixture", "D"))
        ),
    ]
    marks = dict(zip(dict.fromkeys(figures.method for figures in PUBLISHED[ours]), "+x", strict=False))
    sections = list(dict.fromkeys(results["section"]))
    n_lanes = len(series) + 3
    figure, axes = plt.subplots(figsize=(8.5, 1.6 + 1.0 * len(sections)), layout="constrained")
    for lane, (method, variant, readout, color, marker) in enumerate(series):
        chosen = results[
            (results["method"] == method) & (results["variant"] == variant) & (results["readout"] == readout)
        ]
        stats = chosen.groupby("section")["ari"].agg(["mean", "std"]).reindex(sections)
        axes.errorbar(
            stats["mean"],
            np.arange(len(sections)) + (lane + 1.5) / n_lanes,
            xerr=stats["std"].fillna(0),
            fmt=marker,
            color=color,
            markersize=5,
            linewidth=1,
            label=f"{method}, {readout}",
        )
    for method, marker in marks.items():
        points = [
            (figures.ari, index + (n_lanes - 1) / n_lanes)
            for figures in PUBLISHED[ours]
            for index, section in enumerate(sections)
            if figures.method == method and _is_slice(section, figures.slice)
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker, color="black", markersize=6, label=f"{method}, published")
    for edge in range(1, len(sections)):
        axes.axhline(edge, color="#DDDDDD", linewidth=0.8)
    axes.set_yticks(np.arange(len(sections)) + 0.5, [section.replace(" + ", " +\n") for section in sections])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(sections), 0)
    axes.set_xlabel("Adjusted Rand index (mean and standard deviation over seeds)")
    axes.grid(axis="x", color="#EEEEEE")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda index: labels[index].endswith("published"))
    legend = ([handles[index] for index in order], [labels[index] for index in order])
    figure.legend(*legend, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


# -------------------------------------------------------------------------------------------------------- tables


def paired_tests(results: pd.DataFrame, ours: str = OURS) -> pd.DataFrame:
    """Compare the default model with each floor, and with the best floor, over sections.

    Returns
    -------
    A row for each pair of read-outs, floor and set of sections: mean difference, sections with ours above, P, and the
    worst difference and its section.
    """
    means = results.groupby(["method", "variant", "readout", "section"])["ari"].mean()
    rows = []
    for ours_by, floor_by in PAIRS:
        own = _section_means(means, ours, "default", ours_by)
        floors = {floor: _section_means(means, floor, "", floor_by) for floor in FLOORS}
        floors["best of them"] = pd.DataFrame(floors).max(axis=1)
        for floor, values in floors.items():
            every = (own - values).dropna()
            single = every[[not is_joint(section) for section in every.index]]
            for which, difference in {"all": every, "single": single}.items():
                if difference.empty or (which == "single" and len(single) == len(every)):
                    continue
                rows.append(
                    {
                        "ours": ours_by,
                        "floor": f"{floor}, {floor_by}",
                        "sections": f"{which} ({len(difference)})",
                        "mean difference": difference.mean(),
                        "ours above": f"{int((difference > 0).sum())} of {len(difference)}",
                        "P": float(wilcoxon(difference).pvalue) if (difference != 0).any() else 1.0,
                        "worst difference": difference.min(),
                        "where": difference.idxmin(),
                    }
                )
    return pd.DataFrame(rows)


def _section_means(means: pd.Series, method: str, variant: str, readout: str) -> pd.Series:
    is_wanted = [key == (method, variant, readout) for key in means.index.droplevel("section")]
    return means[is_wanted].droplevel(["method", "variant", "readout"])


def _names(results: pd.DataFrame) -> pd.Series:
    return results["method"].where(results["variant"] == "", results["method"] + ", " + results["variant"])


def _table_of_methods(results: pd.DataFrame, readout: str, ours: str) -> str:
    chosen = results[results["readout"] == readout]
    table = _cells(chosen, "ari", list(dict.fromkeys(results["section"])))
    default = f"{ours}, default"
    order = [*([default] if default in table.index else [])]
    order += [name for name in table.index if name.startswith(ours) and name != default]
    order += [name for name in FLOORS if name in table.index]
    return _markdown(table.loc[order])


def _table_of_metrics(results: pd.DataFrame, ours: str) -> str:
    sections = list(dict.fromkeys(results["section"]))
    chosen = results[(results["method"] == ours) & (results["variant"] == "default")]
    tables = [
        _cells(chosen[chosen["readout"] == readout].assign(name=f"{title}, {readout}"), metric, sections)
        for metric, title in METRICS.items()
        for readout in READOUTS
    ]
    return _markdown(pd.concat(tables))


def _cells(chosen: pd.DataFrame, metric: str, sections: list[str]) -> pd.DataFrame:
    """Text of mean and deviation, a row a name and a column a section, and the mean over sections."""
    groups = chosen.groupby(["name", "section"])[metric]
    mean, deviation = (getattr(groups, what)().unstack().reindex(columns=sections) for what in ("mean", "std"))
    text = pd.DataFrame(index=mean.index, columns=[*sections, "mean"], dtype=object)
    for name in mean.index:
        for section in sections:
            value, spread = mean.loc[name, section], deviation.loc[name, section]
            text.loc[name, section] = _number(value) + ("" if pd.isna(spread) else f" ± {spread:.3f}")
        n_there = int(mean.loc[name].notna().sum())
        text.loc[name, "mean"] = _number(mean.loc[name].mean()) + (f" ({n_there})" if n_there < len(sections) else "")
    return text


def _table_of_tests(results: pd.DataFrame, ours: str) -> str:
    tests = paired_tests(results, ours)
    if tests.empty:
        return "No section has both."
    for column in ("mean difference", "worst difference"):
        tests[column] = tests[column].map("{:+.3f}".format)
    tests["P"] = tests["P"].map("{:.2g}".format)
    return _markdown(tests.set_index("ours"))


def _table_of_integration(results: pd.DataFrame) -> str | None:
    there = results.dropna(subset=["graph_connectivity"]).drop_duplicates(["name", "section", "seed"])
    if there.empty:
        return None
    sections = list(dict.fromkeys(there["section"]))
    return _markdown(
        pd.concat(
            _cells(there.assign(name=there["name"] + ": " + title), metric, sections)
            for metric, title in (
                ("graph_connectivity", "graph connectivity"),
                ("silhouette_batch", "silhouette batch"),
            )
        )
    )


def _table_of_published(results: pd.DataFrame, ours: str) -> str | None:
    default = results[(results["method"] == ours) & (results["variant"] == "default")]
    rows = []
    for figures in PUBLISHED[ours]:
        for section in dict.fromkeys(default["section"]):
            if not _is_slice(section, figures.slice):
                continue
            row = {"section": section, "published": figures.method, "protocol": figures.protocol}
            row |= {name.upper(): _number(getattr(figures, name)) for name in ("ari", "nmi", "ca")}
            for readout in ("k-means", "tl.domains"):
                own = default[(default["section"] == section) & (default["readout"] == readout)]
                row[f"ours, {readout}: ARI, NMI, CA"] = ", ".join(_number(own[m].mean()) for m in ("ari", "nmi", "ca"))
            rows.append(row)
    return _markdown(pd.DataFrame(rows).set_index("section")) if rows else None


def _is_slice(section: str, name: str) -> bool:
    return name in section and not is_joint(section)


def _number(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.3f}"


def _markdown(table: pd.DataFrame) -> str:
    header = [table.index.name or "", *table.columns]
    rows = [[str(index), *map(str, row)] for index, row in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])
