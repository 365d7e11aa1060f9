from typing import Any

import pytest

import spotscape as sps


@pytest.fixture(scope="session")
def analysed() -> tuple[Any, Any]:
    """Two small slices with a representation, domains and their colours, and the model."""
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=120, n_genes=60, n_domains=4, seed=0)
    sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = sps.SPOTSCAPE(adata, n_hidden=16, n_latent=8, n_prototypes=(3, 5))
    model.train(30, enable_progress_bar=False)
    adata.obsm["X_spotscape"] = model.get_latent_representation()
    sps.tl.domains(adata, "X_spotscape", 4)
    return model, adata


@pytest.fixture
def adata(analysed):
    """A copy of the analysed slices, that a test may change."""
    return analysed[1].copy()
