"""Settings of AESTETIK: the defaults, those of the paper and those of the released code."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotscape._arguments import MODEL_RULES
from spotscape._validate import Rule, check_flag, check_positive, choice, integer, number, optional
from spotscape.cluster import fit_shared_mixture
from spotscape.graph._lattice_windows import LATTICES
from spotscape.graph._windows import LAYOUTS
from spotscape.model import _presets
from spotscape.preprocessing import Expression
from spotscape.preprocessing._gene_selection import count_variable_genes
from spotscape.preprocessing._modalities import MODALITY_CORRECTIONS
from spotscape.preprocessing._scaling import N_COMPONENTS_WIDE
from spotscape.preprocessing._subsample import evenly_spaced_rows

#: What `__init__` and `train` take where the user gives nothing.
DEFAULT: dict[str, Any] = {
    "encoder": "linear",
    "window": None,
    "n_members": None,
    "n_dropout_passes": 0,
    "rna_correction": None,
    "image_correction": None,
    "image_weight": None,
    "cross_sample_positives": True,
    "reconstruction_weight": 1.0,
    "triplet_weight": 1.0,
    "n_top_genes": 3000,
    "n_components": None,
    "target_sum": None,
    "max_epochs": None,
    "lr": 3e-4,
    "schedule": "one-cycle",
    "batch_size": None,
    "amsgrad": False,
    "n_feature_components": N_COMPONENTS_WIDE,
}
# The published weights of the modalities sum to 3.
_PAPER = DEFAULT | {
    "encoder": "convolution",
    "rna_correction": "none",
    "image_correction": "none",
    "image_weight": 0.5,
    "cross_sample_positives": False,
    "reconstruction_weight": 3.0,
    "triplet_weight": 3.0,
    "n_top_genes": None,
    "n_components": 15,
    "target_sum": 1e4,
    "max_epochs": 100,
    "lr": 1e-3,
    "schedule": "constant",
    "batch_size": 8192,
    "amsgrad": True,
    "n_feature_components": 15,
}
_RELEASED = _PAPER | {"n_dropout_passes": 1000}
PRESETS: dict[str | None, dict[str, Any]] = {None: DEFAULT, "paper": _PAPER, "released": _RELEASED}

#: Published width of the windows, 7, and number of members.
_CONVOLUTION = {"window": 3, "n_members": 3}

#: Number of initialisations of a mixture, and largest number of spots that it is fitted to.
N_INIT = 10
_N_CLUSTERED_SPOTS = 20_000

RULES: dict[str, Rule] = MODEL_RULES | {
    "n_clusters": integer(2),
    "n_hidden n_latent n_members": integer(1),
    "n_dropout_passes": integer(0),
    "window": optional(integer(0)),
    "n_top_genes n_components": optional(integer(1)),
    "target_sum": optional(check_positive),
    "reconstruction_weight triplet_weight margin": number(0),
    "image_weight": optional(number(0, 1)),
    "layout": choice(LAYOUTS),
    "rna_correction image_correction": optional(choice(MODALITY_CORRECTIONS)),
    "cross_sample_positives": check_flag,
}


def resolve(preset: str | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that the presets set, with ``None`` replaced by the value of the preset."""
    settings = _presets.resolve(PRESETS, preset, arguments)
    if "encoder" in settings:
        of_encoder = _CONVOLUTION if settings["encoder"] == "convolution" else {"n_members": 1}
        settings |= {name: value for name, value in of_encoder.items() if settings[name] is None}
    return settings


def check_encoder(preset: str | None, settings: Mapping[str, Any], layout: str) -> None:
    """Raise ``ValueError`` if arguments do not go with the encoder."""
    if settings["encoder"] == "convolution":
        if layout not in LATTICES:
            raise ValueError(
                f"`layout` is {layout!r}, but the windows of `encoder='convolution'` need a lattice; pass "
                "`encoder='linear'` without a preset."
            )
        return
    if preset is not None:
        raise ValueError(f"`encoder` is 'linear', but preset {preset!r} is a convolution; leave one of them out.")
    for name, usual in (("n_members", 1), ("n_dropout_passes", 0)):
        if settings[name] != usual:
            raise ValueError(
                f"`{name}` is {settings[name]}, but the linear encoder starts from the same principal axes in every "
                "member and has no dropout; pass `encoder='convolution'`, or leave it out."
            )


def preprocessing_arguments(
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    values: Expression | NDArray[np.float64],
    slices: NDArray[np.str_],
) -> dict[str, Any]:
    """Arguments of the preprocessing of expression, as far as the data allow what a preset asks for.

    Parameters
    ----------
    given, settings
        Arguments of the user, and those after :func:`resolve`.
    values, slices
        Expression, or other features, and name of the slice of each spot.
    """
    arguments = {name: settings[name] for name in ("n_top_genes", "n_components", "target_sum")}
    if not isinstance(values, Expression):
        return {}
    if arguments["n_top_genes"] is None:
        is_counts = values.values == "counts"
        n_genes = count_variable_genes(values.matrix, slices) if is_counts else DEFAULT["n_top_genes"]
        # A selection of fewer genes than components would leave out some of these.
        arguments["n_top_genes"] = max(n_genes, settings["n_components"] or 1)
    if given["n_components"] is None and arguments["n_components"] is not None:
        most = min(arguments["n_top_genes"], len(values.gene_names), len(slices) - 1)
        arguments["n_components"] = max(1, min(arguments["n_components"], most))
    if given["target_sum"] is None and values.values == "log-normalized":
        arguments["target_sum"] = None
    return arguments


def mixture_clusters(features: NDArray[np.float32], n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Cluster of each spot by a Gaussian mixture with one covariance. ``(n_spots,)``."""
    drawn = features[evenly_spaced_rows(len(features), _N_CLUSTERED_SPOTS)]
    return fit_shared_mixture(drawn, n_clusters, n_init=N_INIT, seed=seed).predict(features)
