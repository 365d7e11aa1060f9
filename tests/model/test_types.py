"""The types that a user's type checker sees: `scripts/dev.py types` checks them, and the tests that they are true."""

from typing import assert_type

import numpy as np
import pandas as pd

from spotscape import SPOTSCAPE, get, metrics, tl


def test_calls_have_the_types_that_they_return(adata, tmp_path):
    SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = SPOTSCAPE(adata, n_hidden=16, n_latent=8)
    model.train(2, enable_progress_bar=False)
    model.save(tmp_path / "model")
    loaded = assert_type(SPOTSCAPE.load(tmp_path / "model", adata=adata), SPOTSCAPE)
    adata.obsm["X_spotscape"] = latent = assert_type(loaded.get_latent_representation(), np.ndarray)
    assert isinstance(latent, np.ndarray)

    tl.domains(adata, n_domains=3)
    tl.markers(adata)
    markers = assert_type(get.markers(adata), pd.DataFrame)
    assert isinstance(markers, pd.DataFrame)
    score = assert_type(metrics.adjusted_rand_index(adata.obs["domain"], adata.obs["spatial_domain"]), float)
    assert isinstance(score, float)
