"""Correlations of genes in counts, held-out counts and denoised expression, and maps of both.

    python -m benchmarks.imputation.correlations 151673.h5ad --genes MBP PLP1 PCP4 --maps MBP PCP4 --out results/

Half of the molecules are held out, the models are trained on the rest, and the genes are correlated by
``tl.gene_correlations``. As controls, each gene is added once more with its shares of the library shuffled over the
spots: controls are independent of each other, so that any correlation of them in denoised expression is made by the
model. DIR/correlations.csv has all pairs, DIR/correlations.md the medians; DIR/correlations.png and DIR/denoised.png
show those of SPOTSCAPE with the first seed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

import spotscape as sps
from benchmarks.common import options as shared
from benchmarks.common.reading import read_counts
from benchmarks.common.registry import MODELS
from benchmarks.common.tables import markdown

CONTROL = " (shuffled)"
COLUMNS = ("counts", "held_out", "noise_corrected", "denoised")


def with_controls(adata: AnnData, genes: Sequence[str], seed: int) -> AnnData:
    """Add each gene once more with its shares of the library shuffled over the spots, and thin all counts."""
    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix(adata.X)
    totals = np.asarray(counts.sum(axis=1)).ravel()
    columns = counts[:, adata.var_names.get_indexer(pd.Index(genes))].toarray()
    shares = columns / np.maximum(totals, 1)[:, None]
    controls = np.column_stack([rng.poisson(rng.permutation(share) * totals) for share in shares.T])
    names = [*adata.var_names, *(gene + CONTROL for gene in genes)]
    both = sparse.hstack([counts, sparse.csr_matrix(controls.astype(np.float32))]).tocsr()
    result = AnnData(both, obs=adata.obs[["slice"]].copy(), var=pd.DataFrame(index=names))
    result.obsm["spatial"] = np.asarray(adata.obsm["spatial"])
    sps.pp.thin_counts(result, seed=seed)
    return result


def correlate(
    adata: AnnData, genes: Sequence[str], model: str, seed: int, max_epochs: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train a model on half of the counts; return the correlations and the denoised expression of the genes."""
    model_class = getattr(sps, model)
    model_class.setup_anndata(adata, layer="counts_fit", slice_key="slice")
    trained = model_class(adata, seed=seed)
    trained.train(max_epochs, enable_progress_bar=False)
    every = [*genes, *(gene + CONTROL for gene in genes)]
    denoised = trained.get_normalized_expression(gene_list=every, library_size=1e4)
    sps.tl.gene_correlations(adata, every, denoised=denoised, held_out="counts_held_out")
    table = sps.get.gene_correlations(adata)
    n_controls = sum(table[column].str.endswith(CONTROL).astype(int) for column in ("gene_1", "gene_2"))
    table["pair"] = n_controls.map({0: "genes", 1: "mixed", 2: "controls"})
    return table[table["pair"] != "mixed"], denoised


def summarize(rows: pd.DataFrame) -> str:
    """Medians of the absolute correlations over pairs and seeds, and how often denoised ones are stronger."""
    table = []
    for (model, pair), found in rows.groupby(["model", "pair"], sort=False):
        known = found.dropna(subset=["noise_corrected", "denoised"])
        stronger = float((known["denoised"].abs() > known["noise_corrected"].abs()).mean()) if len(known) else np.nan
        values = [found[column].dropna().abs() for column in COLUMNS]
        medians = [float(np.median(column)) if len(column) else np.nan for column in values]
        table.append([model, pair, *(f"{value:.2f}" for value in medians), f"{stronger:.0%}", found["seed"].nunique()])
    header = ["model", "pairs of", *(name.replace("_", " ") for name in COLUMNS), "denoised stronger", "seeds"]
    return markdown(header, table) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all models and seeds, and write tables and pictures."""
    parser = shared.make_parser("imputation.correlations", __doc__)
    parser.add_argument("file", type=shared.existing_file)
    parser.add_argument("--genes", nargs="+", required=True, help="genes to correlate")
    parser.add_argument("--maps", nargs="+", default=[], help="genes to draw, of those that are correlated")
    shared.add_seeds(parser, 3)
    shared.add_max_epochs(parser)
    options = shared.parse(parser, arguments, positive=("seeds", "max_epochs"))
    options.out.mkdir(parents=True, exist_ok=True)
    tables = []
    for seed in range(options.seeds):
        adata = with_controls(read_counts(options.file), options.genes, seed)
        for model in MODELS:
            table, denoised = correlate(adata, options.genes, model, seed, options.max_epochs)
            tables.append(table.assign(model=model, seed=seed))
            if not seed and model == "SPOTSCAPE":
                _draw(adata, options, denoised)
    rows = pd.concat(tables)
    rows.to_csv(options.out / "correlations.csv", index=False, float_format="%.4f")
    (options.out / "correlations.md").write_text(summarize(rows), encoding="utf-8")
    return 0


def _draw(adata: AnnData, options: argparse.Namespace, denoised: pd.DataFrame) -> None:
    """Draw the heat maps of the genes without the controls, and the maps."""
    sps.tl.gene_correlations(adata, options.genes, denoised=denoised, held_out="counts_held_out")
    figure = sps.pl.gene_correlations(adata, return_fig=True)
    figure.savefig(Path(options.out) / "correlations.png", dpi=110)
    if options.maps:
        figure = sps.pl.denoised(adata, options.maps, expression=denoised, return_fig=True)
        figure.savefig(Path(options.out) / "denoised.png", dpi=110)


if __name__ == "__main__":
    sys.exit(main())
