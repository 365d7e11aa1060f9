"""The warning of sections that are unlike the training data names what may be wrong besides the tissue."""

import numpy as np
import pytest

from spotscape import SPOTSCAPE
from spotscape.datasets import synthetic_tissue


@pytest.mark.parametrize("size_factor_key", [None, "total_counts"])
def test_other_size_factors_are_named_as_a_cause(size_factor_key):
    def section(seed):
        adata = synthetic_tissue(n_slices=1, n_spots=200, n_genes=60, seed=seed)
        adata.obs["total_counts"] = np.asarray(adata.layers["counts"].sum(axis=1)).ravel()
        return adata

    SPOTSCAPE.setup_anndata(train := section(0), layer="counts", size_factor_key=size_factor_key)
    model = SPOTSCAPE(train, n_hidden=16, n_latent=8)
    model.train(5)
    # Other genes are expressed than in the training data.
    new = section(1)
    new.layers["counts"] = new.layers["counts"][:, ::-1].copy()
    with pytest.warns(UserWarning, match="are unlike those") as caught:
        model.get_latent_representation(new)
    assert ("`obs['total_counts']` means the same" in str(caught[0].message)) == (size_factor_key is not None)
