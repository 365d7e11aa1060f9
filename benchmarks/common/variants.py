"""Settings of the models that are measured: their defaults, parts taken away, and numbers moved up and down."""

from collections.abc import Sequence
from typing import Any

#: For each variant, arguments of ``setup_anndata``, of the model and of ``train``.
Variants = dict[str, dict[str, dict[str, Any]]]

#: The default graph without the edges between labels: it shows what perfect weights of the edges would bring. It is the
#: only variant that sees labels.
ORACLE = "oracle edges"

_SPOTSCAPE: Variants = {
    "default": {},
    "without telescope": {"model": {"telescope_weight": 0.0}},
    "without reconstruction": {"model": {"reconstruction_weight": 0.0}},
    "without similarity scaling": {"model": {"scaling_weight": 0.0}},
    "without prototypes": {"model": {"prototype_weight": 0.0}},
    "without residual path": {"model": {"residual": False}},
    "ReLU of the latent": {"model": {"residual": False, "latent_activation": "relu"}},
    "genes": {"model": {"features": "genes"}},
    "scale power 0": {"model": {"scale_power": 0.0}},
    "scale power 0.5": {"model": {"scale_power": 0.5}},
    "scale power 1": {"model": {"scale_power": 1.0}},
    "20 components": {"model": {"n_components": 20}},
    "hidden width 128": {"model": {"n_hidden": 128}},
    "one layer": {"model": {"n_layers": 1}},
    "three layers": {"model": {"n_layers": 3}},
    "100 steps": {"train": {"max_epochs": 100}},
    "300 steps": {"train": {"max_epochs": 300}},
    "batches of 1024 spots": {"train": {"batch_size": 1024}},
    "batches of 1024 spots, drawn singly": {"train": {"batch_size": 1024, "patch_size": None}},
    "constant rate": {"train": {"schedule": "constant"}},
    "6 neighbours": {"setup": {"n_neighbors": 6}},
    "12 neighbours": {"setup": {"n_neighbors": 12}},
    "18 neighbours": {"setup": {"n_neighbors": 18}},
    "24 neighbours": {"setup": {"n_neighbors": 24}},
    "telescope weight 0.1": {"model": {"telescope_weight": 0.1}},
    "telescope weight 10": {"model": {"telescope_weight": 10.0}},
    "reconstruction weight 0.01": {"model": {"reconstruction_weight": 0.01}},
    "reconstruction weight 1": {"model": {"reconstruction_weight": 1.0}},
    "temperature 0.25": {"model": {"temperature": 0.25}},
    "temperature 2": {"model": {"temperature": 2.0}},
    "no dropped edges": {"model": {"edge_drop_rate": 0.0}},
    "edge drop rate 0.5": {"model": {"edge_drop_rate": 0.5}},
    "no dropped features": {"model": {"feature_drop_rate": 0.0}},
    "feature drop rate 0.5": {"model": {"feature_drop_rate": 0.5}},
    "prototypes 5, 10": {"model": {"n_prototypes": (5, 10)}},
    "prototypes 20, 30, 40": {"model": {"n_prototypes": (20, 30, 40)}},
    "graph attention": {"model": {"encoder": "gat"}},
    "preset paper": {"model": {"preset": "paper"}, "setup": {"preset": "paper"}},
    "preset released": {"model": {"preset": "released"}, "setup": {"preset": "released"}},
    ORACLE: {"setup": {"graph": "precomputed"}},
}

#: Losses between slices and their settings: on a single slice these variants are the default itself.
BETWEEN_SLICES = frozenset(
    {
        "without similarity scaling",
        "without prototypes",
        "temperature 0.25",
        "temperature 2",
        "prototypes 5, 10",
        "prototypes 20, 30, 40",
    }
)

_SEDR: Variants = {
    "default": {},
    "preset paper": {"model": {"preset": "paper"}, "setup": {"preset": "paper"}},
    "preset released": {"model": {"preset": "released"}, "setup": {"preset": "released"}},
    "without error of masked spots": {"model": {"masked_weight": 0.0}},
    "without reconstruction": {"model": {"reconstruction_weight": 0.0}},
    "without adjacency": {"model": {"adjacency_weight": 0.0}},
    "without divergence": {"model": {"kl_weight": 0.0}},
    "representation of the encoders": {"model": {"representation": "encoder"}},
    "linear decoder": {"model": {"decoder": "linear"}},
    "token added": {"model": {"masking": "add"}},
    "squared error of masked spots": {"model": {"masked_loss": "squared"}},
    "mask rate 0.5": {"model": {"mask_rate": 0.5}},
    "mask rate 0.9": {"model": {"mask_rate": 0.9}},
    "dropout rate 0.2": {"model": {"dropout_rate": 0.2}},
    "divergence weight 0.01": {"model": {"kl_weight": 0.01}},
    "twice as wide": {"model": {"n_hidden": 128, "n_latent": 32}},
    "clusters": {"model": {"n_clusters": 10}},
    "genes": {"model": {"features": "genes"}},
    "scale power 0": {"model": {"scale_power": 0.0}},
    "scale power 1": {"model": {"scale_power": 1.0}},
    "100 steps": {"train": {"max_epochs": 100}},
    "600 steps": {"train": {"max_epochs": 600}},
    "batches of 1024 spots": {"train": {"batch_size": 1024}},
    "learning rate 0.003": {"train": {"lr": 3e-3}},
    "constant rate": {"train": {"schedule": "constant"}},
    **{f"{n} neighbours": {"setup": {"n_neighbors": n}} for n in (6, 9, 12, 18, 24)},
}
#: Variants of each model.
VARIANTS: dict[str, Variants] = {"SPOTSCAPE": _SPOTSCAPE, "SEDR": _SEDR}

_NOT_SETTINGS = frozenset({"default", "preset paper", "preset released", ORACLE})
_GROUPS = ("all-ablation", "all-batches", "all-sensitivity")


def expand_variants(names: Sequence[str], model: str = "SPOTSCAPE") -> list[str]:
    """Replace groups by their variants, and name each variant once.

    Parameters
    ----------
    names
        Names of variants and of groups of them.
    model
        Key of :data:`VARIANTS`.

    Returns
    -------
    Names of variants, in the order of the request.

    Raises
    ------
    ValueError
        If a name is neither.
    """
    variants = VARIANTS[model]
    for name in names:
        if name not in variants and name not in _GROUPS:
            raise ValueError(f"There is no variant {name!r}; choose from {', '.join([*_GROUPS, *variants])}.")
    expanded = (_group(name, variants) if name in _GROUPS else [name] for name in names)
    return list(dict.fromkeys(variant for group in expanded for variant in group))


def _group(name: str, variants: Variants) -> list[str]:
    ablation = [variant for variant in variants if variant.startswith("without ")]
    if name == "all-ablation":
        return ablation
    if name == "all-batches":
        return [variant for variant in variants if variant.startswith("batches ")]
    return [variant for variant in variants if variant not in {*_NOT_SETTINGS, *ablation}]
