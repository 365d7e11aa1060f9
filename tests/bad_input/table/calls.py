"""The public functions of an AnnData, with what they need to be called."""

from typing import Any

import numpy as np

import spotscape as sps

from .kinds import Call

_KNN: dict[str, dict[str, Any]] = {"radius": {"method": "radius"}}
_DE: dict[str, Any] = {"condition": "condition", "replicate": "slice", "layer": "counts", "domain": "1"}
_FIGURE = {"show": False}

TOOLS = {
    "pp.spatial_neighbors": Call(sps.pp.spatial_neighbors, {"slice_key": "slice"}, {"method": "choice"}, _KNN),
    "pp.measured_genes": Call(sps.pp.measured_genes, {"slice_key": "slice"}),
    "pp.image_features": Call(
        sps.pp.image_features,
        {
            "slice_key": "slice",
            "image": {f"slice_{number}": np.full((60, 60, 3), 200, np.uint8) for number in range(1, 5)},
        },
        context={"image_key": {"image": None}, "patches_key": {"image": None}},
        values={
            "method": ["nonsense", "", 3, ["handcrafted"], None],
            "scales": [1.0, [], [0.0], ["1"], [float("nan")], "1"],
            "image": [3, "no such file.png", {}],
            "n_jobs": [0, 2.5, "all", True, None],
        },
    ),
    "tl.align": Call(
        sps.tl.align,
        {"reference": "slice_1", "slice_key": "slice"},
        {"reference": "slices"},
        values={"query": ["no such slice", ["no such slice"], 3.5, []]},
        nothing="transform",
    ),
    "tl.choose_n_domains": Call(
        sps.tl.choose_n_domains,
        {"slice_key": "slice"},
        values={"n_domains": [[], 4, [1], ["2"], [2.5], [True], "many", None]},
        nothing="spatial_key",
    ),
    "tl.choose_slice_correction": Call(
        sps.tl.choose_slice_correction,
        {"slice_key": "slice", "layer": "counts"},
        values={"candidates": ["none", ["none", "no such correction"], [], 3, ["none"]]},
    ),
    "tl.composition": Call(sps.tl.composition, {"sample_key": "slice", "condition": "condition"}, {"key": "key"}),
    "tl.differential_expression": Call(
        sps.tl.differential_expression, _DE, {"reference_domain": "names"}, {"reference_domain": {"condition": None}}
    ),
    "tl.domains": Call(
        sps.tl.domains,
        {"n_domains": 3},
        context={"resolution": {"method": "leiden", "n_domains": None}, "n_neighbors": {"method": "leiden"}},
        values={"n_domains": [1, 0, -3, 2.5, "3", True, [], [1], ["3"], [2.5], float("nan"), 10_000]},
    ),
    "tl.enrichment": Call(
        sps.tl.enrichment,
        {"gene_sets": {"set": ["gene_21"]}},
        values={"gene_sets": [3, {}, None, {"set": "gene_21"}, "no such file.gmt"]},
        context={"n_genes": {"method": "selected"}},
    ),
    "tl.harmony": Call(sps.tl.harmony, {"slice_key": "slice"}, nothing="slice_key"),
    "tl.markers": Call(sps.tl.markers, {"layer": "counts"}, {"reference": "names", "groups": "names"}),
    "tl.neighborhood_enrichment": Call(sps.tl.neighborhood_enrichment, {"slice_key": "slice"}),
    "tl.predict_domains": Call(
        sps.tl.predict_domains, {"reference": ...}, values={"reference": [{"a": 1}, None, 3, "section.h5ad"]}
    ),
    "tl.trajectory": Call(
        sps.tl.trajectory,
        {"root": "1", "slice_key": "slice", "per_slice": True},
        values={"root": ["no such domain", 3.5, None, ["1"]]},
    ),
    "tl.transfer_labels": Call(
        sps.tl.transfer_labels,
        {"labels_key": "kind", "reference": "slice_1", "slice_key": "slice"},
        {"reference": "slices", "coupling": "key"},
    ),
}

TABLES = {
    "get.composition": Call(sps.get.composition),
    "get.differential_expression": Call(sps.get.differential_expression, kinds={"min_log2_fold_change": "number"}),
    "get.enrichment": Call(sps.get.enrichment),
    "get.markers": Call(sps.get.markers, kinds={"min_log2_fold_change": "number"}),
}

FIGURES = {
    "pl.alignment": Call(sps.pl.alignment, _FIGURE),
    "pl.alternatives": Call(sps.pl.alternatives, _FIGURE | {"slice_key": "slice"}),
    "pl.composition": Call(sps.pl.composition, _FIGURE),
    "pl.domains": Call(
        sps.pl.domains,
        _FIGURE | {"slice_key": "slice"},
        context={
            "vmin": {"color": "gradient"},
            "vmax": {"color": "gradient"},
            "cmap": {"color": "gradient"},
            "layer": {"color": "gene_21"},
        },
    ),
    "pl.embedding": Call(
        sps.pl.embedding,
        _FIGURE | {"color": "kind"},
        context={"cmap": {"color": "gradient"}, "layer": {"color": "gene_21"}},
    ),
    "pl.markers": Call(sps.pl.markers, _FIGURE | {"layer": "counts"}, {"min_log2_fold_change": "number"}),
    "pl.n_domains": Call(sps.pl.n_domains, _FIGURE),
    "pl.neighborhood": Call(sps.pl.neighborhood, _FIGURE, {"vmax": "positive"}),
    "pl.similarity": Call(
        sps.pl.similarity,
        _FIGURE | {"slice_key": "slice"},
        values={"spot": ["no such spot", -1, 10**6, 2.5, ["a"], True]},
    ),
    "pl.trajectory": Call(sps.pl.trajectory, _FIGURE | {"slice_key": "slice"}),
    "pl.volcano": Call(sps.pl.volcano, _FIGURE),
}

CALLS = TOOLS | TABLES | FIGURES
