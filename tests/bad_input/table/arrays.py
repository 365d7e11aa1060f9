"""Functions of arrays, tables, paths and numbers, with what they need to be called."""

from typing import Any

import numpy as np
import pandas as pd

import spotscape as sps

from .kinds import Call

_TRUE, _PRED = ["a", "a", "b", "b"], [1, 1, 2, 2]
_LABELS: list[Any] = ["abab", 3, None, [["a", "b", "a", "b"]], [], ["a"], {"a": 1}, ["a", "b"]]
_PREDICTED = [*_LABELS, ["a", None, "b", "b"], [1.0, float("nan"), 2.0, 2.0]]
_REPRESENTATION = np.random.default_rng(0).normal(size=(40, 3))
_SLICES = np.repeat(["first", "second"], 20)
_MATRICES: list[Any] = [
    "X",
    3,
    None,
    [],
    _REPRESENTATION[:, 0],
    np.full((40, 3), np.nan),
    np.full((40, 3), np.inf),
    np.ones((40, 3)),
    _REPRESENTATION[:5],
    _REPRESENTATION.astype(complex),
    _REPRESENTATION > 0,
    np.full((40, 3), "a"),
]
_SCORES = pd.DataFrame({"method": list("ab"), "section": ["s", "s"], "score": [1.0, 2.0], "bio": 0.5, "batch": 0.5})

METRICS = {
    f"metrics.{name}": Call(
        getattr(sps.metrics, name),
        {"labels_true": _TRUE, second: _PRED},
        values={
            "labels_true": [*_LABELS, [None] * 4],
            # spots to which no label could be transferred may lack one
            second: _LABELS if second == "labels_transferred" else _PREDICTED,
        },
    )
    for second, names in {
        "labels_pred": "adjusted_mutual_information adjusted_rand_index clustering_accuracy completeness homogeneity "
        "normalized_mutual_information purity scores v_measure",
        "labels_transferred": "label_transfer_adjusted_rand_index",
    }.items()
    for name in names.split()
}
METRICS |= {
    "metrics.boundary_accuracy": Call(
        sps.metrics.boundary_accuracy,
        {"labels_true": _TRUE, "labels_pred": _PRED, "connectivities": np.eye(4)},
        values={
            "labels_true": _LABELS,
            "labels_pred": _PREDICTED,
            "connectivities": [None, 3, "graph", np.eye(3), np.ones(4), np.full((4, 4), np.nan), np.full((4, 4), "a")],
        },
    ),
    "metrics.silhouette": Call(
        sps.metrics.silhouette,
        {"representation": _REPRESENTATION, "labels": _SLICES},
        values={"representation": _MATRICES, "labels": [*_LABELS, ["a"] * 40, np.arange(40)]},
    ),
    "metrics.integration_scores": Call(
        sps.metrics.integration_scores,
        {"representation": _REPRESENTATION, "slices": _SLICES},
        values={
            "representation": _MATRICES,
            "slices": [*_LABELS, ["a"] * 40, [None] * 40],
            "labels": [label for label in _LABELS if label is not None],
            "unintegrated": [matrix for matrix in _MATRICES if matrix is not None],
        },
    ),
    "metrics.trajectory_scores": Call(
        sps.metrics.trajectory_scores,
        {"pseudotime": [0.0, 0.1, 0.2, 0.3], "known_order": [1, 2, 3, 4]},
        values={
            "pseudotime": ["abcd", 3, None, [], [0.1], [[0.1] * 4], [0.1] * 4, [float("nan")] * 4, list("abcd")],
            "known_order": ["abcd", 3, None, [], [1], [1] * 4, [[1, 2, 3, 4]]],
            "order": ["abcd", 3, [1, 1, 2, 3, 4], [1, 2], []],
        },
    ),
    "metrics.compare_scores": Call(
        sps.metrics.compare_scores,
        {"scores": _SCORES, "reference": "a"},
        values={
            "scores": [
                None,
                3,
                "scores.csv",
                [1.0],
                _SCORES[:0],
                _SCORES.assign(score=np.nan),
                _SCORES.assign(score="x"),
            ],
            "reference": ["c", None, 3, ["a"]],
            "method": ["no such column", None, 3, ["method"]],
            "score": ["no such column", None, 3, ["score"]],
            "pair_by": ["no such column", 3, ["section"]],
        },
    ),
}

_SIZES: dict[str, list[Any]] = dict.fromkeys(
    ("n_slices", "n_spots", "n_genes", "n_domains", "n_kinds", "n_image_features"), [0, -1, 2.5, "3", True, None, [2]]
)
_EFFECT = ["none at all", -1, 10, True, None, [1], float("nan")]
OTHERS = {
    "datasets.synthetic_tissue": Call(
        sps.datasets.synthetic_tissue,
        kinds={"counts_per_gene": "positive", "dropout": "share below 1"},
        values=_SIZES
        | {"batch_effect": _EFFECT, "missing_domains": [3, [1], {9: [0]}, {0: [99]}, {0: "a"}, {0: 1}, {0.5: [1]}]},
    ),
    "datasets.synthetic_modalities": Call(
        sps.datasets.synthetic_modalities,
        values=_SIZES | {"batch_effect": _EFFECT, "slices_without_image": [3, [9], ["a"], [-1], "0", None, [0.5]]},
    ),
    "io.read_sections": Call(
        sps.io.read_sections,
        {"paths": "good.h5ad"},
        {"table": "name", "slice_key": "name"},
        values={"paths": [None, 3, [], "", [3], {}, [""], [None], b"good.h5ad"]},
    ),
    "pl.history": Call(
        sps.pl.history,
        {"history_or_model": {"train_loss": pd.DataFrame({"train_loss": [3.0, 2.0, 1.0]})}, "show": False},
        {"mark": "not negative"},
        values={"history_or_model": [None, 3, "model", {}, [1.0]], "keys": ["train_loss", ["no such key"], 3, []]},
    ),
    "pl.integration": Call(
        sps.pl.integration,
        {"table": _SCORES, "show": False},
        values={
            "table": [None, 3, "scores.csv", [1.0], _SCORES[:0], _SCORES.assign(bio=np.nan), _SCORES.assign(bio="x")],
            "bio": ["no such column", None, 3, ["bio"]],
            "batch": ["no such column", None, 3, ["batch"]],
        },
    ),
}

CALLS = METRICS | OTHERS
