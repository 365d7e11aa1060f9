"""Settings of SPOTSCAPE and SEDR: the defaults, those of the papers and those of the released code."""

from collections.abc import Mapping
from typing import Any

from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

from spotscape._validate import check_choice
from spotscape.data import ExpressionField
from spotscape.data._fields import reads_expression

#: For each preset, what `__init__` and `train` take where the user gives nothing. `None` is the preset of the defaults.
Presets = Mapping[str | None, Mapping[str, Any]]

#: What ``features`` are of data that were set up with features in ``obsm``.
EMBEDDING = "embedding"
#: What features are called in a summary of the model.
FEATURE_NAMES = {"components": "components", "genes": "genes", EMBEDDING: "features of an embedding"}

_SPOTSCAPE: dict[str, Any] = {
    "features": "components",
    "n_top_genes": 3000,
    "target_sum": None,
    "slice_correction": None,
    "latent_activation": "linear",
    "batch_norm_momentum": 0.1,
    "scaling_weight": 1.0,
    "n_anchors": 512,
    "prototype_refresh": 5,
    "n_steps": None,
    "lr": 5e-4,
    "schedule": "one-cycle",
}
_SPOTSCAPE_PAPER = _SPOTSCAPE | {
    "features": "genes",
    "n_top_genes": 5000,
    "target_sum": 1e4,
    "slice_correction": "none",
    "latent_activation": "relu",
    "n_anchors": "all",
    "prototype_refresh": 1,
    "n_steps": 1000,
    # The rates of the paper for cortex: of a single section here, of several in `PUBLISHED_LR_OF_SEVERAL_SLICES`.
    "lr": 1e-4,
    "schedule": "constant",
}
SPOTSCAPE_PRESETS: Presets = {
    None: _SPOTSCAPE,
    "paper": _SPOTSCAPE_PAPER,
    # The weight of similarity scaling follows from the number of slices, where that is known.
    "released": _SPOTSCAPE_PAPER | {"batch_norm_momentum": 0.99},
}
PUBLISHED_LR_OF_SEVERAL_SLICES = 5e-4

#: Width of the principal components in the released code of SEDR, as far as the data has so many.
PUBLISHED_N_COMPONENTS = 200
_SEDR: dict[str, Any] = {
    "features": "components",
    "representation": "decoder",
    "masking": "replace",
    "mask_at_inference": False,
    "masked_loss": "cosine",
    "dropout_rate": 0.0,
    "batch_norm_momentum": 0.1,
    "adjacency_weight": 0.1,
    "kl_weight": 1e-3,
    "redraw_pairs": True,
    "n_top_genes": 3000,
    "n_components": None,
    "scale_power": None,
    "slice_correction": None,
    "n_steps": 300,
    "lr": 1e-2,
    "weight_decay": 1e-4,
    "schedule": "one-cycle",
}
_SEDR_PAPER = _SEDR | {
    "representation": "encoder",
    "masked_loss": "squared",
    "dropout_rate": 0.2,
    "batch_norm_momentum": 0.01,
    "n_top_genes": 2000,
    "n_components": PUBLISHED_N_COMPONENTS,
    "scale_power": 0.0,
    "slice_correction": "none",
    "n_steps": 200,
    "weight_decay": 1e-2,
    "schedule": "constant",
}
SEDR_PRESETS: Presets = {
    None: _SEDR,
    "paper": _SEDR_PAPER,
    # The released code averages over edges and non-edges together and halves that, and divides the divergence by the
    # number of spots once more; the latter is done where the number is known.
    "released": _SEDR_PAPER
    | {
        "masking": "add",
        "mask_at_inference": True,
        "masked_loss": "cosine",
        "adjacency_weight": 0.05,
        "kl_weight": 0.1,
        "redraw_pairs": False,
    },
}


def resolve(presets: Presets, preset: str | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that the presets set, with ``None`` replaced by the value of the preset."""
    given = {name: arguments[name] for name in presets[preset].keys() & arguments.keys()}
    return {name: presets[preset][name] if value is None else value for name, value in given.items()}


def resolve_graph(setup_args: dict[str, Any], presets: Presets, published: Mapping[str, Any]) -> None:
    """Replace the preset among the arguments of set-up by the graph that it stands for.

    Parameters
    ----------
    setup_args
        Arguments of the setup method; changed.
    presets
        Presets of the model.
    published
        Arguments of set-up that make the graph of the publication.

    Raises
    ------
    ValueError
        If there is no such preset, or it is given together with an argument that it sets.
    """
    preset = setup_args.pop("preset")
    check_choice(preset, tuple(presets), "preset")
    if preset is None:
        setup_args["graph"] = "knn" if setup_args["graph"] is None else setup_args["graph"]
        return
    for name in ("graph", "n_neighbors", "radius"):
        if setup_args[name] is not None:
            raise ValueError(
                f"`{name}` is {setup_args[name]!r}, but `preset` is {preset!r}, which sets the graph; give one of them."
            )
    setup_args.update(published)


def resolve_for(
    manager: AnnDataManager | None,
    presets: Presets,
    preset: str | None,
    published: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """Check a preset and the graph of the data, and return the arguments that presets set; see :func:`resolve`.

    Parameters
    ----------
    manager
        Manager of the data. ``None``: no data.
    presets
        Presets of the model.
    preset
        Preset of the user.
    published
        Arguments of set-up that make the graph of the publication.
    arguments
        Arguments of the model.

    Raises
    ------
    ValueError
        If there is no such preset, the data were set up with another graph, unless it was given by the user, or an
        argument does not apply to the expression or the embedding that the data were set up with.
    """
    check_choice(preset, tuple(presets), "preset")
    settings = resolve(presets, preset, arguments)
    if manager is None:
        return settings
    if reads_expression(manager):
        if arguments.get("features") == EMBEDDING:
            raise ValueError(
                f"`features` is {EMBEDDING!r}, but the data were set up with expression; name the key of `adata.obsm` "
                "as `features_key` in the setup, or leave `features` out."
            )
    else:
        settings |= _settings_of_embedding(settings, arguments)
    if preset is None:
        return settings
    _check_graph(preset, manager.registry, published)
    if not reads_expression(manager):
        return settings
    if manager.get_state_registry(REGISTRY_KEYS.X_KEY)[ExpressionField.VALUES_KEY] == "log-normalized":
        # The total is that of the data.
        settings["target_sum"] = arguments["target_sum"]
    return settings


def published_n_components(manager: AnnDataManager, n_top_genes: int) -> int:
    """Number of components of the released code of SEDR, or as many as the data have."""
    if reads_expression(manager):
        most = min(n_top_genes, manager.summary_stats["n_cells"], manager.summary_stats["n_vars"]) - 1
    else:
        n_spots, width = manager.get_from_registry(REGISTRY_KEYS.X_KEY).shape
        most = min(n_spots - 1, width)
    return min(PUBLISHED_N_COMPONENTS, most)


def _settings_of_embedding(settings: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of data that were set up with features in ``obsm``; raises if an argument is for expression."""
    if arguments.get("features") not in (None, EMBEDDING):
        raise ValueError(
            f"`features` is {arguments['features']!r}, but the data were set up with `features_key`; leave it out, or "
            "set the data up with expression."
        )
    for name in ("n_top_genes", "scale_power", "target_sum"):
        if arguments.get(name) is not None:
            raise ValueError(
                f"`{name}` is {arguments[name]!r}, which is for expression, but the data were set up with "
                "`features_key`; leave it out."
            )
    return {"features": EMBEDDING} if "features" in settings else {}


def _check_graph(preset: str, registry: Mapping[str, Any], published: Mapping[str, Any]) -> None:
    setup_args = registry["setup_args"]
    if setup_args["graph"] == "precomputed":
        return
    for name in ("graph", "n_neighbors", "radius"):
        if setup_args[name] != published.get(name):
            settings = " and ".join(f"{name}={value!r}" for name, value in published.items())
            given = f"the default `{name}`" if setup_args[name] is None else f"{name}={setup_args[name]!r}"
            raise ValueError(
                f"`preset` is {preset!r}, whose graph has {settings}, but the data were set up with {given}; "
                f"call `{registry['setup_method_name']}(..., preset={preset!r})`, or leave `preset` out."
            )
