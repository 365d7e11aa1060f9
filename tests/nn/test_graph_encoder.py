"""The graph encoder against dense matrix products, and the augmentation against its definition."""

import numpy as np
import pytest
import torch
from scipy.sparse import random as random_sparse

from spotscape import nn

from .conftest import csr_tensor


def adjacency(n=12, seed=0):
    matrix = random_sparse(n, n, density=0.3, format="csr", rng=np.random.default_rng(seed))
    return csr_tensor(matrix.astype(np.float32))


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
    hidden = encoder.norms[0](dense @ x @ encoder.convolutions[0].weight).relu()
    last = dense @ hidden @ encoder.convolutions[1].weight
    last = last + encoder.convolutions[1].bias if latent_activation == "linear" else encoder.norms[1](last).relu()
    torch.testing.assert_close(encoder(x, adjacency(), [12, 12, 12]), last)
    assert (latent_activation == "relu") == bool((encoder(x, adjacency(), [12, 12, 12]) >= 0).all())


def test_dropped_edges_keep_the_expectation():
    original = adjacency()
    views = torch.stack([nn.drop_edges(original, 0.4, key, torch.arange(12)).to_dense() for key in range(4000)])
    stored = original.to_dense() != 0
    torch.testing.assert_close(views.mean(dim=0), original.to_dense(), rtol=0, atol=0.06)
    kept = (views[:, stored] != 0).double()
    assert abs(kept.mean() - 0.6) < 0.01
    assert not views[:, ~stored].any()
    # Edges are dropped independently of each other, so the covariance matrix is diagonal.
    covariance = torch.cov(kept.T)
    torch.testing.assert_close(covariance, 0.24 * torch.eye(len(covariance)).double(), rtol=0, atol=0.025)


def test_dropped_edges_depend_on_their_spots_only():
    original, order = adjacency(), torch.randperm(12, generator=torch.Generator().manual_seed(0))
    whole = nn.drop_edges(original, 0.5, 7, torch.arange(12)).to_dense()
    permuted = nn.drop_edges(original.to_dense()[order][:, order].to_sparse_csr(), 0.5, 7, order).to_dense()
    torch.testing.assert_close(permuted, whole[order][:, order])
    part = nn.drop_edges(original.to_dense()[:4].to_sparse_csr(), 0.5, 7, torch.arange(12)).to_dense()
    torch.testing.assert_close(part, whole[:4])
    assert not torch.equal(nn.drop_edges(original, 0.5, 8, torch.arange(12)).to_dense(), whole)


def test_augmentation_of_rate_zero_changes_nothing():
    original = adjacency()
    assert nn.drop_edges(original, 0, 3, torch.arange(12)) is original
    assert nn.draw_feature_mask(10, 0, torch.Generator()) is None


def test_feature_mask_hides_the_given_share_and_depends_on_its_generator_only():
    masks = [nn.draw_feature_mask(10_000, 0.3, torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert set(masks[0].tolist()) == {0.0, 1.0}
    assert abs(masks[0].mean() - 0.7) < 0.02
    assert torch.equal(masks[0], masks[1]) and not torch.equal(masks[0], masks[2])


def test_leading_rows_are_the_leading_block():
    matrix = torch.tensor([[1.0, 2, 0, 0], [0, 3, 0, 0], [4, 0, 5, 6]])
    rows = nn.leading_rows(matrix.to_sparse_csr(), 2, 2)
    torch.testing.assert_close(rows.to_dense(), matrix[:2, :2])


@pytest.mark.parametrize("n_seeds", [7, 12])
def test_batch_norm_uses_the_statistics_of_the_seed_spots(n_seeds):
    torch.manual_seed(0)
    x = (torch.randn(12, 3) + 2).requires_grad_()
    norm, twin = nn.SeedBatchNorm(3, momentum=0.3), torch.nn.BatchNorm1d(3, momentum=0.3)
    found = norm(x, n_seeds)
    torch.testing.assert_close(found[:n_seeds], twin(x[:n_seeds]))
    variance, mean = torch.var_mean(x[:n_seeds], dim=0, correction=0)
    expected = (x - mean) / (variance + norm.eps).sqrt()
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(y.pow(3).sum(), x)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(norm, name), getattr(twin, name))
    torch.testing.assert_close(norm.eval()(x), twin.eval()(x))
