"""Choice of a correction of slices without labels, beside label transfer with and without the correction.

    python -m benchmarks.correction --case cortex=A.h5ad,B.h5ad --case starmap=C.h5ad --draws 6 --out DIR

A case is all annotated slices of its files, as in ``benchmarks.integration``. So that slices share more or fewer
labels, each label of each slice is left out with a probability of 0, 0.3 and 0.5, ``--draws`` times for each but 0. For
each draw, ``tl.choose_slice_correction`` sees counts, positions and slices. Label transfer is that of the benchmark of
integration: each slice is left out, and its spots take the label of most of their 15 nearest spots of the others, in
principal components that are corrected, or not, and averaged twice over six spatial neighbours; macro-F1 over the
labels that two slices have.

A row of DIR/results.csv is one draw, and what is there is not computed again. DIR/summary.md is made from all.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

import spotscape as sps
from benchmarks.common import options as shared
from benchmarks.common.results import Results, Row
from benchmarks.common.tables import markdown, number
from benchmarks.common.transfer import leave_one_slice_out, macro_f1, shared_classes
from benchmarks.integration.cases import Case, find_cases, load_case
from spotscape.preprocessing import Preprocessor
from spotscape.preprocessing.correction import correction_named
from spotscape.tl._choose_correction import _averaging

SHARES_LEFT_OUT = (0.0, 0.3, 0.5)
CORRECTIONS = ("none", "harmony")
MIN_SPOTS = 60
COLUMNS = {"case": str, "share left out": float, "draw": int, "chosen": str} | {
    f"{what}, {name}": float for what in ("agreement", "macro-F1") for name in CORRECTIONS
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all draws that are not there yet, and write the summary."""
    options = _parse(arguments)
    results = Results(options.out / "results.csv", COLUMNS, ["case", "share left out", "draw"], digits=4)
    done = results.done()
    for case in find_cases(options.case, shared.keys(options), synthetic=False):
        for share in SHARES_LEFT_OUT:
            for draw in range(options.draws if share else 1):
                if (case.name, share, draw) not in done:
                    results.write(list(measure(case, share, draw, options.max_spots)))
                    print(case.name, share, draw, flush=True)
    (options.out / "summary.md").write_text(summarize(results.read()), encoding="utf-8")
    return 0


def measure(case: Case, share: float, draw: int, max_spots: int) -> Iterator[Row]:
    """Choose a correction for a case without some of its labels; no row if too little is left."""
    section = load_case(case)
    rng = np.random.default_rng([draw, round(100 * share)])
    labels, slices = section.labels_of_all, section.slices
    keep = np.ones(len(slices), dtype=bool)
    for name in np.unique(slices):
        for label in pd.unique(labels[pd.notna(labels)]):
            if rng.random() < share:
                keep &= ~((slices == name) & (labels == label))
    rows = np.flatnonzero(keep)
    rows = np.sort(rng.choice(rows, min(len(rows), max_spots), replace=False))
    labels, slices = labels[rows], slices[rows]
    annotated = np.flatnonzero(pd.notna(labels))
    used = annotated[shared_classes(labels[annotated].astype(str), slices[annotated])]
    codes = np.unique(labels[used].astype(str), return_inverse=True)[1]
    if min(np.unique(slices, return_counts=True)[1]) < MIN_SPOTS or codes.max(initial=0) == 0:
        return
    adata = AnnData(section.adata.X[rows], obs=pd.DataFrame({"slice": slices}, index=section.adata.obs_names[rows]))
    adata.var_names = section.adata.var_names
    adata.obsm["spatial"] = np.asarray(section.adata.obsm["spatial"])[rows]
    chosen = sps.tl.choose_slice_correction(adata, "slice", candidates=CORRECTIONS)
    row: Row = {"case": case.name, "share left out": share, "draw": draw, "chosen": chosen}
    averaging = _averaging(adata.obsm["spatial"], slices)
    expressed = adata[:, np.asarray((adata.X > 0).sum(axis=0)).ravel() >= 5]
    features = Preprocessor().fit(expressed.X, expressed.var_names, slices=slices).transform(expressed.X).astype(float)
    for name in CORRECTIONS:
        values = averaging @ correction_named(name).fit(features, slices).transform(features, slices)
        found = leave_one_slice_out(values[used], codes, slices[used])
        row[f"macro-F1, {name}"] = macro_f1(codes, found, codes.max() + 1)
        row[f"agreement, {name}"] = adata.uns["slice_correction"]["table"].loc[name, "agreement"]
    yield row


def summarize(results: pd.DataFrame) -> str:
    """Mean macro-F1 without, with and with the chosen correction, by case and over all draws."""
    first, second = CORRECTIONS
    corrected = results["chosen"] == second
    results = results.assign(
        chosen_f1=results[f"macro-F1, {second}"].where(corrected, results[f"macro-F1, {first}"]),
        best_f1=results[[f"macro-F1, {name}" for name in CORRECTIONS]].max(axis=1),
        is_right=corrected == (results[f"macro-F1, {second}"] > results[f"macro-F1, {first}"]),
    )
    header = ["case", "draws", "none", "Harmony", "as chosen", "better of the two", "choice right"]
    columns = [*(f"macro-F1, {name}" for name in CORRECTIONS), "chosen_f1", "best_f1"]
    groups = [*results.groupby("case", sort=False), ("all", results)]
    lines = [
        [name, len(rows), *(number(rows[column].mean()) for column in columns), f"{rows['is_right'].mean():.0%}"]
        for name, rows in groups
    ]
    return f"# Choice of a correction without labels\n\n{markdown(header, lines)}\n"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("correction", __doc__)
    shared.add_case(parser, "--case", "annotated slices; repeatable")
    parser.add_argument("--draws", type=int, default=6, help="draws of the labels that are left out (default: 6)")
    parser.add_argument("--max-spots", type=int, default=6000, help="most spots of a draw (default: 6000)")
    shared.add_annotation(parser)
    return shared.parse(parser, arguments, positive=("draws", "max_spots"))


if __name__ == "__main__":
    sys.exit(main())
