"""The questions that are asked of a model and sections that it has not seen; each gives rows of figures."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.metrics import roc_auc_score

import spotscape as sps
from benchmarks.common.results import Row
from benchmarks.common.training import train
from benchmarks.new_sections.cases import keep_genes, novelty_cases

SHARES = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, 0.05)
#: Novelty from which a spot is called novel.
NOVEL = 0.99
MEASURED = "spotscape_measured"
REP = "X_spotscape"
Model = Any


def represent(name: str, adata: AnnData, seed: int, **arguments: Any) -> Model:
    """Train a model and leave the representation in the data; ``arguments`` as of ``train``."""
    model = train(name, adata, seed, **arguments)
    adata.obsm[REP] = model.get_latent_representation()
    return model


def mapped(model: Model, query: AnnData, *, as_zeros: bool = False) -> AnnData:
    """New section with its representation; genes that it lacks are completed, or taken as zero counts."""
    prepared = model.prepare_query_anndata(query, model, inplace=False)
    if as_zeros:
        prepared.var[MEASURED] = True
    prepared.obsm[REP] = model.get_latent_representation(prepared)
    return prepared


def gene_rows(model: Model, reference: AnnData, query: AnnData, name: str, seed: int) -> Iterator[Row]:
    """Accuracy of transferred labels by the share of the genes that the query has."""
    for share in SHARES:
        fewer = keep_genes(query, share, seed) if share < 1 else query
        for method in ("expected", "zeros"):
            found = _transfer(reference, mapped(model, fewer, as_zeros=method == "zeros"))
            right = (found["truth"] == found["label"]).mean()
            agreement = sps.metrics.adjusted_rand_index(found["truth"], found["label"])
            for metric, value in (("accuracy", right), ("ltari", agreement)):
                yield _row("genes", name, method, seed, metric, value, level=share)


def novelty_rows(
    model: Model, query: AnnData, others: list[AnnData], name: str, seed: int, size_factor_key: str | None
) -> Iterator[Row]:
    """Share of novel spots in sections that are like those trained on, and in others."""
    for case, is_out, adata in novelty_cases(query, others, seed, size_factor_key):
        prepared = model.prepare_query_anndata(adata, model, inplace=False)
        found = model.get_slice_novelty(prepared)["share_novel"].iloc[0]
        yield _row("novelty", name, case, seed, "share_novel", found, level=float(is_out))


def held_out_rows(model: Model, query: AnnData, name: str) -> Iterator[Row]:
    """Share of novel spots in the slices of a donor that the model has not seen."""
    for slice_name, found in model.get_slice_novelty(query)["share_novel"].items():
        yield _row("novelty", name, f"donor held out, {slice_name}", 0, "share_novel", found)


def unknown_domain_rows(name: str, seed: int, **arguments: Any) -> Iterator[Row]:
    """Novelty in a synthetic slice whose domains were all trained on but one."""
    tissue = sps.datasets.synthetic_tissue(n_slices=3, n_spots=1500, seed=seed)
    tissue.X = tissue.layers["counts"].copy()
    domains = tissue.obs["domain"].astype(str)
    unknown = sorted(domains.unique())[seed % domains.nunique()]
    is_new = (tissue.obs["slice"] == "slice_3").to_numpy()
    is_unknown = (domains == unknown).to_numpy()
    model = train(name, tissue[~is_new & ~is_unknown].copy(), seed, **arguments)
    novelty = model.get_novelty(tissue[is_new].copy())
    of_unknown = is_unknown[is_new]
    yield _row("unknown domain", "synthetic", "auc", seed, "auc", roc_auc_score(of_unknown, novelty))
    for case, spots in (("known domains", ~of_unknown), ("unknown domain", of_unknown)):
        yield _row("unknown domain", "synthetic", case, seed, "share_novel", (novelty[spots] >= NOVEL).mean())


def confidence_rows(reference: AnnData, query: AnnData, name: str, seed: int) -> Iterator[Row]:
    """Accuracy, calibration error and accuracy within each tenth of confidence."""
    found = _transfer(reference, query)
    right, tenth = found["truth"] == found["label"], np.ceil(10 * found["confidence"]).astype(int)
    yield _row("confidence", name, "all", seed, "accuracy", right.mean())
    yield _row("confidence", name, "all", seed, "known_labels", found["truth"].isin(reference.obs["label"]).mean())
    gap = 0.0
    for upper, spots in right.groupby(tenth):
        confidence = found.loc[spots.index, "confidence"].mean()
        gap += len(spots) / len(right) * abs(confidence - spots.mean())
        for metric, value in (("right", spots.mean()), ("mean_confidence", confidence), ("n_spots", len(spots))):
            yield _row("confidence", name, "tenth", seed, metric, value, level=upper / 10)
    yield _row("confidence", name, "all", seed, "calibration_error", gap)


def _transfer(reference: AnnData, query: AnnData) -> pd.DataFrame:
    """Truth, transferred label and confidence of the annotated spots of the query."""
    sps.tl.transfer_labels(query, "label", reference)
    found = query.obs[["label", "label_transferred", "label_transferred_confidence"]].astype({"label": object})
    return found[found["label"].notna()].set_axis(["truth", "label", "confidence"], axis=1).astype({"label": object})


def _row(question: str, data: str, case: str, seed: int, metric: str, value: float, level: float = np.nan) -> Row:
    figures = {"level": level, "seed": seed, "metric": metric, "value": float(value)}
    return {"question": question, "data": data, "case": case} | figures
