"""Data and models that bad input is given to, and what must hold afterwards."""

import numpy as np
import pandas as pd
import pytest

from spotscape import SPOTSCAPE
from spotscape.datasets import synthetic_tissue


@pytest.fixture
def adata():
    """Two small slices, not set up."""
    return synthetic_tissue(n_slices=2, n_spots=120, n_genes=60, n_domains=4, seed=0)


def setup(adata, **arguments):
    SPOTSCAPE.setup_anndata(adata, **{"layer": "counts", "slice_key": "slice"} | arguments)


@pytest.fixture
def saved(adata, tmp_path):
    """Folder of a small trained model of ``adata``."""
    setup(adata)
    model = SPOTSCAPE(adata, n_hidden=8, n_latent=4, n_prototypes=(3,))
    model.train(2, enable_progress_bar=False)
    model.save(tmp_path / "model")
    return tmp_path / "model"


def new_section(seed=1):
    """A section with the genes of ``adata``."""
    return synthetic_tissue(n_slices=1, n_spots=80, n_genes=60, n_domains=4, seed=seed)


def assert_unchanged(adata, before):
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    pd.testing.assert_frame_equal(adata.var, before.var)
    assert repr(adata.uns) == repr(before.uns)
    assert (adata.X != before.X).nnz == 0
    for attribute in ("obsm", "obsp", "varm", "layers"):
        found, expected = getattr(adata, attribute), getattr(before, attribute)
        assert found.keys() == expected.keys()
        for key in expected:
            a, b = (m.toarray() if hasattr(m, "toarray") else np.asarray(m) for m in (found[key], expected[key]))
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def assert_one_sentence(error):
    assert "\n" not in str(error) and len(str(error)) < 400
