"""Results of the accuracy benchmark as tables and tests."""

from pathlib import Path

import pandas as pd

from benchmarks.accuracy.published import PUBLISHED
from benchmarks.common.reading import is_joint
from benchmarks.common.readouts import DEFAULT, EEE, KMEANS, MIXTURE, READOUTS
from benchmarks.common.registry import DEFAULT_MODEL, FLOORS
from benchmarks.common.results import Results
from benchmarks.common.statistics import paired_difference
from benchmarks.common.tables import markdown_of, mean_and_deviation, number

METRICS = {"nmi": "NMI", "ca": "CA", "boundary_ca": "CA at boundaries", "interior_ca": "CA inside"}
COLUMNS = {
    **{"section": str, "n_spots": int, "n_domains": int, "method": str, "variant": str, "seed": int, "readout": str},
    **dict.fromkeys(("ari", "nmi", "ca", "boundary_ca", "interior_ca", "seconds"), float),
    **dict.fromkeys(("graph_connectivity", "silhouette_batch"), float),
}
#: Read-out of ours and that of the floors which it is compared with.
PAIRS = ((KMEANS, KMEANS), (DEFAULT, MIXTURE), (DEFAULT, DEFAULT))


def results_of(folder: Path) -> Results:
    """Rows in a folder, each of one section, method, variant, seed and read-out."""
    return Results(folder / "results.csv", COLUMNS, ["section", "method", "variant", "seed", "readout"])


def write_summary(results: pd.DataFrame, path: Path, ours: str = DEFAULT_MODEL) -> None:
    """Write all tables as Markdown; ``ours`` is the model that is compared with the rest."""
    results = results.assign(name=_names(results))
    parts = [
        "# Accuracy",
        "Mean ± standard deviation over seeds: of the model, or of the read-out for principal components.",
    ]
    parts += [f"Last column: mean over the sections, and on how many if not all {results['section'].nunique()}."]
    for readout in (*READOUTS, *([EEE] if EEE in set(results["readout"]) else [])):
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


def paired_tests(results: pd.DataFrame, ours: str = DEFAULT_MODEL) -> pd.DataFrame:
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
                about = {"ours": ours_by, "floor": f"{floor}, {floor_by}", "sections": f"{which} ({len(difference)})"}
                rows.append(about | paired_difference(difference))
    return pd.DataFrame(rows)


def is_slice(section: str, name: str) -> bool:
    """Whether a section is the slice of a name alone."""
    return name in section and not is_joint(section)


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
    return markdown_of(table.loc[order])


def _table_of_metrics(results: pd.DataFrame, ours: str) -> str:
    sections = list(dict.fromkeys(results["section"]))
    chosen = results[(results["method"] == ours) & (results["variant"] == "default")]
    tables = [
        _cells(chosen[chosen["readout"] == readout].assign(name=f"{title}, {readout}"), metric, sections)
        for metric, title in METRICS.items()
        for readout in READOUTS
    ]
    return markdown_of(pd.concat(tables))


def _cells(chosen: pd.DataFrame, metric: str, sections: list[str]) -> pd.DataFrame:
    """Text of mean and deviation, a row a name and a column a section, and the mean over sections."""
    groups = chosen.groupby(["name", "section"])[metric]
    mean, deviation = (getattr(groups, what)().unstack().reindex(columns=sections) for what in ("mean", "std"))
    text = pd.DataFrame(index=mean.index, columns=[*sections, "mean"], dtype=object)
    for name in mean.index:
        for section in sections:
            text.loc[name, section] = mean_and_deviation(mean.loc[name, section], deviation.loc[name, section])
        n_there = int(mean.loc[name].notna().sum())
        text.loc[name, "mean"] = number(mean.loc[name].mean()) + (f" ({n_there})" if n_there < len(sections) else "")
    return text


def _table_of_tests(results: pd.DataFrame, ours: str) -> str:
    tests = paired_tests(results, ours)
    if tests.empty:
        return "No section has both."
    for column in ("mean difference", "worst difference"):
        tests[column] = tests[column].map("{:+.3f}".format)
    tests["P"] = tests["P"].map("{:.2g}".format)
    return markdown_of(tests.set_index("ours"))


def _table_of_integration(results: pd.DataFrame) -> str | None:
    there = results.dropna(subset=["graph_connectivity"]).drop_duplicates(["name", "section", "seed"])
    if there.empty:
        return None
    sections = list(dict.fromkeys(there["section"]))
    return markdown_of(
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
    for figures in PUBLISHED.get(ours, ()):
        for section in dict.fromkeys(default["section"]):
            if not is_slice(section, figures.slice):
                continue
            row = {"section": section, "published": figures.method, "protocol": figures.protocol}
            row |= {name.upper(): number(getattr(figures, name)) for name in ("ari", "nmi", "ca")}
            for readout in ("k-means", "tl.domains"):
                own = default[(default["section"] == section) & (default["readout"] == readout)]
                row[f"ours, {readout}: ARI, NMI, CA"] = ", ".join(number(own[m].mean()) for m in ("ari", "nmi", "ca"))
            rows.append(row)
    return markdown_of(pd.DataFrame(rows).set_index("section")) if rows else None
