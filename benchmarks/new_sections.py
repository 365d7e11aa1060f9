"""What a trained model is worth on sections it has not seen: fewer genes, unlike tissue, labels with a confidence.

Four questions, each answered for every seed:

* genes: a section with a random share of its genes, mapped by a model of another one; accuracy of the labels that it
  gets from that one, beside what filling with zeros gives;
* novelty: share of the spots that are novel in sections that are like those trained on, and in others;
* unknown domain: the same in a synthetic slice with a domain that the trained slices lack;
* confidence: how often transferred labels are right, by their confidence; pairs in both directions, and each donor of
  a cohort mapped by a model of the others.

    python benchmarks/new_sections.py --pair 151673.h5ad 151675.h5ad --cohort A.h5ad B.h5ad C.h5ad --out results/

The model is ``SPOTSCAPE``, or another by ``--model``, with its defaults.
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from _new_section_cases import keep_genes, novelty_cases
from _new_section_figure import write_figure, write_summary
from _variants import MODELS
from anndata import AnnData
from sklearn.metrics import roc_auc_score

import spotscape as sps

SHARES = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, 0.05)
MEASURED = "spotscape_measured"
REP = "X_spotscape"
Row = dict[str, Any]
Model = sps.SPOTSCAPE | sps.SEDR


def read(path: str, options: argparse.Namespace) -> AnnData:
    """Section with its labels in ``obs["label"]``, missing where a spot has none."""
    adata = anndata.read_h5ad(path)
    if "slice" not in adata.obs:
        adata.obs["slice"] = Path(path).stem
    labels = adata.obs[options.label_key].astype(object)
    adata.obs["label"] = pd.Categorical(labels.where(~labels.isin(options.drop_label)))
    return adata


def train(name: str, adata: AnnData, seed: int, size_factor_key: str | None, **train_arguments: Any) -> Model:
    """Train with the defaults, and leave the representation in the data."""
    key, model_class = size_factor_key if size_factor_key in adata.obs else None, getattr(sps, name)
    model_class.setup_anndata(adata, slice_key="slice", size_factor_key=key)
    model = model_class(adata, seed=seed)
    model.train(enable_progress_bar=False, **train_arguments)
    adata.obsm[REP] = model.get_latent_representation()
    return model


def mapped(model: Model, query: AnnData, *, as_zeros: bool = False) -> AnnData:
    """New section with its representation; genes that it lacks are completed, or taken as zero counts."""
    prepared = model.prepare_query_anndata(query, model, inplace=False)
    if as_zeros:
        prepared.var[MEASURED] = True
    prepared.obsm[REP] = model.get_latent_representation(prepared)
    return prepared


def transfer(reference: AnnData, query: AnnData) -> pd.DataFrame:
    """Truth, transferred label and confidence of the annotated spots of the query."""
    sps.tl.transfer_labels(query, "label", reference)
    found = query.obs[["label", "label_transferred", "label_transferred_confidence"]].astype({"label": object})
    return found[found["label"].notna()].set_axis(["truth", "label", "confidence"], axis=1).astype({"label": object})


def gene_rows(model: Model, reference: AnnData, query: AnnData, name: str, seed: int) -> Iterator[Row]:
    """Accuracy of transferred labels by the share of the genes that the query has."""
    for share in SHARES:
        fewer = keep_genes(query, share, seed) if share < 1 else query
        for method in ("expected", "zeros"):
            found = transfer(reference, mapped(model, fewer, as_zeros=method == "zeros"))
            right = (found["truth"] == found["label"]).mean()
            agreement = sps.metrics.adjusted_rand_index(found["truth"], found["label"])
            for metric, value in (("accuracy", right), ("ltari", agreement)):
                yield row("genes", name, method, seed, metric, value, level=share)


def novelty_rows(
    model: Model, query: AnnData, others: list[AnnData], name: str, seed: int, size_factor_key: str | None
) -> Iterator[Row]:
    """Share of novel spots in sections that are like those trained on, and in others."""
    for case, is_out, adata in novelty_cases(query, others, seed, size_factor_key):
        prepared = model.prepare_query_anndata(adata, model, inplace=False)
        table = model.get_slice_novelty(prepared)
        yield row("novelty", name, case, seed, "share_novel", table["share_novel"].iloc[0], level=float(is_out))


def unknown_domain_rows(name: str, seed: int, **train_arguments: Any) -> Iterator[Row]:
    """Novelty in a synthetic slice whose domains were all trained on but one."""
    tissue = sps.datasets.synthetic_tissue(n_slices=3, n_spots=1500, seed=seed)
    tissue.X = tissue.layers["counts"].copy()
    domains = tissue.obs["domain"].astype(str)
    unknown = sorted(domains.unique())[seed % domains.nunique()]
    is_new = (tissue.obs["slice"] == "slice_3").to_numpy()
    is_unknown = (domains == unknown).to_numpy()
    model = train(name, tissue[~is_new & ~is_unknown].copy(), seed, None, **train_arguments)
    novelty = model.get_novelty(tissue[is_new].copy())
    of_unknown = is_unknown[is_new]
    yield row("unknown domain", "synthetic", "auc", seed, "auc", roc_auc_score(of_unknown, novelty))
    for case, spots in (("known domains", ~of_unknown), ("unknown domain", of_unknown)):
        yield row("unknown domain", "synthetic", case, seed, "share_novel", (novelty[spots] >= 0.99).mean())


def confidence_rows(reference: AnnData, query: AnnData, name: str, seed: int) -> Iterator[Row]:
    """Accuracy, calibration error and accuracy within each tenth of confidence."""
    found = transfer(reference, query)
    right, tenth = found["truth"] == found["label"], np.ceil(10 * found["confidence"]).astype(int)
    yield row("confidence", name, "all", seed, "accuracy", right.mean())
    yield row("confidence", name, "all", seed, "known_labels", found["truth"].isin(reference.obs["label"]).mean())
    gap = 0.0
    for upper, spots in right.groupby(tenth):
        confidence = found.loc[spots.index, "confidence"].mean()
        gap += len(spots) / len(right) * abs(confidence - spots.mean())
        for metric, value in (("right", spots.mean()), ("mean_confidence", confidence), ("n_spots", len(spots))):
            yield row("confidence", name, "tenth", seed, metric, value, level=upper / 10)
    yield row("confidence", name, "all", seed, "calibration_error", gap)


def row(question: str, data: str, case: str, seed: int, metric: str, value: float, level: float = np.nan) -> Row:
    """One figure."""
    figures = {"level": level, "seed": seed, "metric": metric, "value": float(value)}
    return {"question": question, "data": data, "case": case} | figures


def measure(options: argparse.Namespace, **train_arguments: Any) -> Iterator[Row]:
    """Answer all questions."""
    for seed in range(options.seeds):
        yield from unknown_domain_rows(options.model, seed, **train_arguments)
        for first, second in (options.pair, options.pair[::-1]):
            reference, query = read(first, options), read(second, options)
            name = f"{Path(first).stem} to {Path(second).stem}"
            model = train(options.model, reference, seed, options.size_factor_key, **train_arguments)
            yield from gene_rows(model, reference, query, name, seed)
            yield from confidence_rows(reference, mapped(model, query), name, seed)
            key = options.size_factor_key if options.size_factor_key in reference.obs else None
            others = [one_slice(read(path, options)) for path in options.cohort]
            yield from novelty_rows(model, query, others, name, seed, key)
    for held_out in options.cohort:
        rest = sps.io.read_sections([path for path in options.cohort if path != held_out])
        labels = rest.obs[options.label_key].astype(object)
        rest.obs["label"] = pd.Categorical(labels.where(~labels.isin(options.drop_label)))
        model = train(options.model, rest, 0, None, **train_arguments)
        query = mapped(model, read(held_out, options))
        name = f"others to {Path(held_out).stem}"
        yield from confidence_rows(rest, query, name, 0)
        for slice_name, found in model.get_slice_novelty(query)["share_novel"].items():
            yield row("novelty", name, f"donor held out, {slice_name}", 0, "share_novel", found)


def one_slice(adata: AnnData) -> AnnData:
    """First slice."""
    return adata[adata.obs["slice"] == adata.obs["slice"].iloc[0]].copy()


def main(arguments: list[str] | None = None, **train_arguments: Any) -> None:
    """Measure, and write table, summary and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pair", nargs=2, required=True, metavar="FILE", help="two annotated sections of one donor")
    parser.add_argument("--cohort", nargs="*", default=[], metavar="FILE", help="annotated sections, a file a donor")
    parser.add_argument("--model", choices=list(MODELS), default="SPOTSCAPE", help="default: SPOTSCAPE")
    parser.add_argument("--label-key", default="domain")
    parser.add_argument("--drop-label", nargs="*", default=[], help="labels that are none")
    parser.add_argument("--size-factor-key", help="column with the totals over all genes, for the pair")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Sections are meant to be out of distribution, and panels to be small.
        warnings.simplefilter("ignore", UserWarning)
        results = pd.DataFrame(measure(options, **train_arguments))
    results.round(4).to_csv(options.out / "results.csv", index=False)
    write_summary(results, options.out / "summary.md")
    write_figure(results, options.out / "new_sections.png")


if __name__ == "__main__":
    main()
