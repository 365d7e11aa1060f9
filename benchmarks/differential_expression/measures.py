"""What is counted in simulations, and the tables made of it."""

from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from benchmarks.common.results import Results
from benchmarks.common.tables import markdown

ALPHA = 0.05
KEYS = {
    **{"experiment": str, "method": str, "n_slices": int},
    **{"between": float, "log2_fold_change": float, "block": int},
}
#: Sums over the simulations of a block.
SUMS = ("simulations", "tests", "below", "domains", "domains_with_any", "planted", "found", "false", "false_share")
COLUMNS = KEYS | {name: float if name == "false_share" else int for name in SUMS}


def results_of(folder: Path) -> Results:
    """Rows in a folder."""
    return Results(folder / "results.csv", COLUMNS, list(KEYS), digits=6)


def count(adata: AnnData, domain: str | None, differs: NDArray[np.bool_]) -> dict[str, float]:
    """Count what was found in one simulation.

    Parameters
    ----------
    adata
        AnnData with the result of ``tl.differential_expression``.
    domain
        Domain with a planted difference; it is left out of what is counted of the other domains. ``None``: there is
        none.
    differs
        Whether each gene differs in that domain. ``(n_genes,)``.

    Returns
    -------
    ``tests`` and those ``below`` .05 in the domains without a difference; the number of these ``domains``, and of those
    ``with any`` gene at a false discovery rate of .05; the genes that were ``planted``, ``found``, and ``false`` in the
    domain with a difference, and their share among all that were found there.
    """
    table = adata.uns["differential_expression"]["table"]
    inside = (table["domain"] == domain).to_numpy()
    elsewhere = table[~inside]
    significant = table["p_adjusted"].to_numpy() < ALPHA
    planted = differs[adata.var_names.get_indexer(table["gene"].astype(str))] & inside
    false = int((significant & inside & ~planted).sum())
    any_found = (elsewhere["p_adjusted"] < ALPHA).groupby(elsewhere["domain"].astype(str)).any()
    return {
        "simulations": 1,
        "tests": len(elsewhere),
        "below": int((elsewhere["p_value"] < ALPHA).sum()),
        "domains": len(any_found),
        "domains_with_any": int(any_found.sum()),
        "planted": int(differs.sum()),
        "found": int((significant & planted).sum()),
        "false": false,
        "false_share": false / max(int((significant & inside).sum()), 1),
    }


def summarize(table: pd.DataFrame) -> str:
    """Tables of false positives and of power, in Markdown."""
    keys = [name for name in KEYS if name != "block"]
    sums = table.groupby(keys, sort=False, dropna=False)[list(SUMS)].sum().reset_index()
    null = sums[sums["experiment"] != "planted"]
    header = ["comparison", "test", "slices", "simulations", "p < .05", "domains with any gene at FDR .05"]
    rows = [
        [row.experiment, row.method, row.n_slices, row.simulations]
        + [f"{row.below / row.tests:.3f}", f"{row.domains_with_any / row.domains:.3f}"]
        for row in null.itertuples()
    ]
    text = markdown(header, rows) + "\n"
    planted = sums[sums["experiment"] == "planted"]
    if planted.empty:
        return text
    header = ["SD between replicates", "fold change", "power", "false among found", "other domains with any gene"]
    rows = [
        [f"{row.between:g}", f"{2**row.log2_fold_change:.1f}", f"{row.found / row.planted:.2f}"]
        + [f"{row.false_share / row.simulations:.3f}", f"{row.domains_with_any / row.domains:.3f}"]
        for row in planted.itertuples()
    ]
    return text + "\n" + markdown(header, rows) + "\n"
