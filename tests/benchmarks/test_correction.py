"""The benchmark of the choice of a correction, on a small tissue and made-up rows."""

import pandas as pd

import spotscape as sps
from benchmarks.correction import __main__ as correction


def test_draws_are_measured_and_summarised(tmp_path):
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=300, n_genes=80, n_domains=4, seed=0)
    adata.X = adata.layers["counts"]
    adata.write_h5ad(tmp_path / "tissue.h5ad")
    arguments = ["--case", f"tissue={tmp_path / 'tissue.h5ad'}", "--draws", "1", "--out", str(tmp_path / "out")]
    assert correction.main(arguments) == 0
    rows = pd.read_csv(tmp_path / "out" / "results.csv")
    assert rows["share left out"].tolist()[0] == 0
    assert rows["macro-F1, none"].between(0, 1).all()
    assert correction.main(arguments) == 0
    assert len(pd.read_csv(tmp_path / "out" / "results.csv")) == len(rows)


def test_the_summary_counts_what_was_chosen():
    rows = pd.DataFrame(
        {
            "case": "tissue",
            "chosen": ["none", "harmony", "harmony"],
            "macro-F1, none": [0.5, 0.6, 0.9],
            "macro-F1, harmony": [0.4, 0.8, 0.6],
        }
    )
    line = next(line for line in correction.summarize(rows).splitlines() if line.startswith("| tissue"))
    assert [cell.strip() for cell in line.split("|")[3:8]] == ["0.667", "0.600", "0.633", "0.733", "67%"]
