"""A model trained on expression, from raw counts to a representation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from anndata import AnnData

import spotscape as sps

#: Arguments of ``setup_anndata``, of the model and of ``train``, by ``"setup"``, ``"model"`` and ``"train"``.
Settings = Mapping[str, Mapping[str, Any]]


def train(
    name: str,
    adata: AnnData,
    seed: int,
    *,
    slice_key: str = "slice",
    size_factor_key: str | None = None,
    settings: Settings | None = None,
) -> Any:
    """Set up and train a model of the package on raw counts in ``X``.

    Parameters
    ----------
    name
        Name of its class.
    adata
        Slices; the spatial graph is written to it.
    seed
        Seed of the model.
    slice_key, size_factor_key
        Arguments of ``setup_anndata``.
    settings
        What differs from the defaults.

    Returns
    -------
    The trained model.
    """
    settings, model_class = settings or {}, getattr(sps, name)
    model_class.setup_anndata(adata, slice_key=slice_key, size_factor_key=size_factor_key, **settings.get("setup", {}))
    model = model_class(adata, seed=seed, **settings.get("model", {}))
    model.train(enable_progress_bar=False, **settings.get("train", {}))
    return model


def has_diverged(error: RuntimeError) -> bool:
    """Whether a training ended because its loss was no longer a number."""
    return "training loss became" in str(error)


def finite_or_zero(latent: np.ndarray) -> np.ndarray:
    """The representation; one column of zeros where a value is missing or infinite."""
    return latent if np.isfinite(latent).all() else np.zeros((len(latent), 1))
