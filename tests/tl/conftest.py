"""A representation with clear domains, which several files find."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=300)
    latent = np.eye(4, 6)[truth] * 8 + rng.normal(size=(300, 6))
    data = anndata.AnnData(X=sparse.csr_matrix(rng.poisson(1.0, (300, 60)).astype(np.float32)))
    data.obs["truth"] = pd.Categorical(truth.astype(str))
    data.obsm["X_spotscape"] = latent.astype(np.float32)
    return data
