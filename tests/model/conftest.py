import pytest
import scvi

from spotscape import SPOTSCAPE
from spotscape.datasets import synthetic_tissue


@pytest.fixture
def adata():
    """Two small slices, not set up."""
    return synthetic_tissue(n_slices=2, n_spots=120, n_genes=60, n_domains=4, seed=0)


def small_model(adata, *, epochs=6, setup=None, train=None, **arguments):
    """Set up, build and train a small model."""
    SPOTSCAPE.setup_anndata(adata, **{"layer": "counts", "slice_key": "slice"} | (setup or {}))
    model = SPOTSCAPE(adata, **{"n_hidden": 16, "n_latent": 8, "n_prototypes": (3, 5)} | arguments)
    model.train(epochs, enable_progress_bar=False, **(train or {}))
    return model


@pytest.fixture
def model(adata):
    """A small trained model of ``adata``."""
    return small_model(adata)


@pytest.fixture(autouse=True)
def _no_global_seed():
    seed = scvi.settings.seed
    yield
    if seed is not None:
        scvi.settings.seed = seed
