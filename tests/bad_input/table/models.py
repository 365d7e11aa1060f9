"""The models: set-up, construction, training, answers and files, with what they need to be called."""

from collections.abc import Callable
from typing import Any

import spotscape as sps

from .kinds import Call

_SETUP = {"slice_key": "slice", "layer": "counts"}
_SETUP_AESTETIK = {"slice_key": "slice", "rna_key": "counts", "image_key": "X_image"}
_KNN = {"radius": {"graph": "radius"}, "graph_key": {"graph": "precomputed"}}
#: Weights that are used, learning rates that learn, and so on.
_TRAIN: dict[str, Any] = {
    "kinds": {"early_stopping_patience": "integer", "lr": "positive", "schedule": "choice"},
    "context": {"early_stopping_patience": {"early_stopping": True}},
    "nothing": "patch_size",
}
_ANSWER = {"batch_size": "integer"}
_MODEL = {"adata": "free", "registry": "free"}

SETUPS = {
    "SPOTSCAPE.setup_anndata": Call(sps.SPOTSCAPE.setup_anndata, _SETUP, context=_KNN),
    "SEDR.setup_anndata": Call(sps.SEDR.setup_anndata, _SETUP, context=_KNN),
    "AESTETIK.setup_anndata": Call(sps.AESTETIK.setup_anndata, _SETUP_AESTETIK),
}

CONSTRUCTORS = {
    "SPOTSCAPE": Call(
        sps.SPOTSCAPE,
        kinds=_MODEL | {"n_top_genes": "integer", "n_anchors": "integer"},
        values={"n_prototypes": [[], 3, [0], [2.5], ["3"], [True], "many", None]},
        nothing="n_anchors",
    ),
    "SEDR": Call(sps.SEDR, kinds=_MODEL | {"n_top_genes": "integer"}, context={"cluster_weight": {"n_clusters": 3}}),
    "AESTETIK": Call(sps.AESTETIK, kinds=_MODEL | {"n_top_genes": "integer", "window": "natural"}),
}


def method(name: str, **arguments: Any) -> Callable[[Any], Call]:
    """A method of a model that is made later."""
    return lambda model: Call(getattr(model, name), **arguments)


_TRAIN["values"] = {
    "plan_kwargs": [3, [1], "a", {"learning_rate": 0.1}],
    "datasplitter_kwargs": [3, [1], "a", {"n_patches": 3}],
}

TRAININGS = {
    "SPOTSCAPE": method("train", good={"max_epochs": 1}, **_TRAIN),
    "SEDR": method("train", good={"max_epochs": 1}, **_TRAIN),
    "AESTETIK": method("train", good={"max_epochs": 1}, **_TRAIN),
}

ANSWERS = {
    "get_latent_representation": method("get_latent_representation", kinds=_ANSWER),
    "get_normalized_expression": method(
        "get_normalized_expression",
        kinds=_ANSWER,
        values={"library_size": [-1, "observed", float("nan"), [1], True, None]},
    ),
    "get_novelty": method("get_novelty", kinds=_ANSWER),
    "get_slice_novelty": method("get_slice_novelty", kinds=_ANSWER),
    "get_data_findings": method("get_data_findings"),
    "save": method("save", good={"dir_path": "new"}),
    "load": method(
        "load",
        good={"dir_path": "model"},
        values={
            "adata": ["section.h5ad", 3, True, {}],
            "backup_url": [3, ""],
            "device": [-5, 10_000, 1.5, "no such device", True],
        },
    ),
    "load_registry": method("load_registry", good={"dir_path": "model"}),
    "view_setup_args": method("view_setup_args", good={"dir_path": "model"}),
    "prepare_query_anndata": method(
        "prepare_query_anndata",
        good={"reference_model": "model"},
        values={"reference_model": [None, 3, "", ["a"]]},
    ),
}
