from typing import Any

import pytest
import scvi

from spotscape import SEDR, SPOTSCAPE
from spotscape.datasets import synthetic_tissue


@pytest.fixture
def adata():
    """Two small slices, not set up."""
    return synthetic_tissue(n_slices=2, n_spots=120, n_genes=60, n_domains=4, seed=0)


#: What makes a model small; both have a latent representation of width 8.
SMALL: dict[type, dict[str, Any]] = {
    SPOTSCAPE: {"n_hidden": 16, "n_latent": 8, "n_prototypes": (3, 5)},
    SEDR: {"n_hidden": 16, "n_latent": 4},
}


def small_model(adata, *, model_class=SPOTSCAPE, epochs=6, setup=None, train=None, **arguments):
    """Set up, build and train a small model."""
    model_class.setup_anndata(adata, **{"layer": "counts", "slice_key": "slice"} | (setup or {}))
    model = model_class(adata, **SMALL[model_class] | arguments)
    model.train(epochs, enable_progress_bar=False, **(train or {}))
    return model


@pytest.fixture
def model_class():
    """The model that is tested; a file may ask for all of them."""
    return SPOTSCAPE


@pytest.fixture
def model(adata, model_class):
    """A small trained model of ``adata``."""
    return small_model(adata, model_class=model_class)


@pytest.fixture(autouse=True)
def _no_global_seed():
    seed = scvi.settings.seed
    yield
    if seed is not None:
        scvi.settings.seed = seed
