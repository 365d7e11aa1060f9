"""The encoder against dense matrix products, and the augmentation against its definition."""

import numpy as np
import pytest
import torch
from scipy.sparse import random as random_sparse

from spotscape import nn


def adjacency(n=12, seed=0):
    matrix = random_sparse(n, n, density=0.3, format="csr", rng=np.random.default_rng(seed))
    return torch.sparse_csr_tensor(
        *map(torch.from_numpy, (matrix.indptr, matrix.indices, matrix.data.astype(np.float32))), matrix.shape
    )


@pytest.mark.parametrize(("n_input", "n_output"), [(5, 9), (9, 5)])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
def test_convolution_is_two_matrix_products(n_input, n_output, masked, sparse):
    torch.manual_seed(0)
    layer = nn.GraphConvolution(n_input, n_output)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(12, n_input) * (torch.rand(12, n_input) < 0.5)
    mask = (torch.arange(n_input) % 2).float() if masked else None
    dense = adjacency().to_dense() @ (x * (1 if mask is None else mask)) @ layer.weight + layer.bias
    found = layer(x.to_sparse_csr() if sparse else x, adjacency(), mask)
    torch.testing.assert_close(found, dense)
    expected_gradient = torch.autograd.grad(dense.square().sum(), layer.weight)
    torch.testing.assert_close(torch.autograd.grad(found.square().sum(), layer.weight), expected_gradient)


@pytest.mark.parametrize("latent_activation", ["linear", "relu"])
def test_encoder_is_its_layers_in_order(latent_activation):
    torch.manual_seed(0)
    encoder = nn.GraphEncoder([4, 6, 3], latent_activation=latent_activation).eval()
    x, dense = torch.randn(12, 4), adjacency().to_dense()
    hidden = encoder.activations[0](dense @ x @ encoder.convolutions[0].weight)
    last = dense @ hidden @ encoder.convolutions[1].weight
    last = last + encoder.convolutions[1].bias if latent_activation == "linear" else encoder.activations[1](last)
    torch.testing.assert_close(encoder(x, adjacency(), [12, 12, 12]), last)
    assert (latent_activation == "relu") == bool((encoder(x, adjacency(), [12, 12, 12]) >= 0).all())


def test_dropped_edges_keep_the_expectation():
    generator = torch.Generator().manual_seed(0)
    original = adjacency()
    views = torch.stack([nn.drop_edges(original, 0.4, generator).to_dense() for _ in range(4000)])
    stored = original.to_dense() != 0
    torch.testing.assert_close(views.mean(dim=0), original.to_dense(), rtol=0, atol=0.06)
    dropped = (views[:, stored] == 0).float().mean()
    assert abs(dropped - 0.4) < 0.01
    assert not views[:, ~stored].any()


def test_augmentation_of_rate_zero_changes_nothing():
    original = adjacency()
    assert nn.drop_edges(original, 0, torch.Generator()) is original
    assert nn.draw_feature_mask(10, 0, torch.Generator()) is None


def test_feature_mask_hides_the_stated_share_and_follows_its_generator():
    masks = [nn.draw_feature_mask(10_000, 0.3, torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert set(masks[0].tolist()) == {0.0, 1.0}
    assert abs(masks[0].mean() - 0.7) < 0.02
    assert torch.equal(masks[0], masks[1]) and not torch.equal(masks[0], masks[2])


def test_leading_rows_are_a_slice():
    matrix = torch.tensor([[1.0, 2, 0, 0], [0, 3, 0, 0], [4, 0, 5, 6]])
    rows = nn.leading_rows(matrix.to_sparse_csr(), 2, 2)
    torch.testing.assert_close(rows.to_dense(), matrix[:2, :2])
