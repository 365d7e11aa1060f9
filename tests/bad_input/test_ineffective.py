"""Arguments that would have no effect, or another one than meant, are refused."""

import os
import re

import numpy as np
import pytest
from scipy import sparse

from spotscape import SPOTSCAPE
from spotscape.pp import spatial_neighbors

from .conftest import assert_one_sentence, assert_unchanged, setup


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": 0}, "`lr` is 0; it must be positive"),
        ({"train_size": 0.0}, "`train_size` is 0.0; it must be positive"),
        ({"train_size": 1.5}, "`train_size` is 1.5; it must be at most 1"),
        ({"validation_size": 2}, "`validation_size` is 2.0; it must be at least 0 and at most 1"),
        ({"limit_train_batches": 0}, "`limit_train_batches` is 0"),
        ({"devices": 10_000, "accelerator": "cpu"}, f"`devices` is 10000, but the computer has {os.cpu_count()} core"),
    ],
)
def test_training(adata, arguments, message):
    setup(adata)
    model = SPOTSCAPE(adata, n_hidden=8, n_latent=4, n_prototypes=(3,))
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        model.train(2, **arguments)
    assert_one_sentence(error.value)
    assert not model.is_trained


@pytest.mark.parametrize(("radius", "message"), [(1e-9, "joins no spots of"), (1e9, "with all 119 others")])
def test_radius_without_or_with_all_edges(adata, radius, message):
    before = adata.copy()
    with pytest.raises(ValueError, match=message) as error:
        spatial_neighbors(adata, slice_key="slice", method="radius", radius=radius)
    assert_one_sentence(error.value)
    assert_unchanged(adata, before)


@pytest.mark.parametrize("graph", [sparse.csr_matrix((240, 240)), sparse.identity(240, format="csr")])
def test_given_graphs_without_edges(adata, graph):
    adata.obsp["spatial_connectivities"] = graph
    with pytest.raises(ValueError, match="has no edges between different spots"):
        setup(adata, graph="precomputed")
        SPOTSCAPE(adata).train(1)


def test_given_graphs_in_one_direction_are_used_in_both(adata):
    spatial_neighbors(adata, slice_key="slice")
    both = adata.obsp["spatial_connectivities"].copy()
    latent = []
    for graph in (both, sparse.triu(both).tocsr()):
        adata.obsp["spatial_connectivities"] = graph
        setup(adata, graph="precomputed")
        model = SPOTSCAPE(adata, n_hidden=8, n_latent=4, n_prototypes=(3,))
        model.train(1, enable_progress_bar=False)
        latent.append(model.get_latent_representation())
    np.testing.assert_array_equal(*latent)


def test_size_factors_far_below_the_totals(adata):
    totals = np.asarray(adata.layers["counts"].sum(axis=1)).ravel()
    adata.obs["total"] = 0.1 * totals
    before = adata.copy()
    with pytest.raises(ValueError, match=r"is 0\.1 times the counts of the genes at hand") as error:
        setup(adata, size_factor_key="total")
    assert_one_sentence(error.value)
    assert_unchanged(adata, before)
    adata.obs["total"] = 0.9 * totals
    setup(adata, size_factor_key="total")
