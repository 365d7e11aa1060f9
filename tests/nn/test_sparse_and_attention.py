"""Products with sparse features, and graph attention, against their slow twins."""

import numpy as np
import pytest
import torch
from torch.nn.functional import leaky_relu

from spotscape import nn
from spotscape.nn._sparse import sparse_product

GENERATOR = torch.Generator().manual_seed(0)


def sparse_matrix(n_rows, n_columns, density=0.3):
    values = torch.rand(n_rows, n_columns, generator=GENERATOR)
    return values * (torch.rand(n_rows, n_columns, generator=GENERATOR) < density)


def test_sparse_product_and_its_gradient_are_those_of_the_dense_product():
    matrix = sparse_matrix(7, 5)
    weight = torch.rand(5, 3, generator=GENERATOR, requires_grad=True)
    target = torch.rand(7, 3, generator=GENERATOR)
    (expected,) = torch.autograd.grad((matrix @ weight * target).sum(), weight)
    stored = matrix.to_sparse_csr()
    for _ in range(2):
        product = sparse_product(stored, weight)
        torch.testing.assert_close(product, matrix @ weight)
        torch.testing.assert_close(torch.autograd.grad((product * target).sum(), weight)[0], expected)


def test_two_views_are_reconstructed_as_one_by_one():
    target, hidden = sparse_matrix(7, 5).to_sparse_csr(), torch.rand(2, 7, 3, generator=GENERATOR)
    weight, bias = torch.rand(5, 3, generator=GENERATOR), torch.rand(5, generator=GENERATOR)
    both = nn.sparse_reconstruction_loss(target, hidden, weight, bias)
    one_by_one = [nn.sparse_reconstruction_loss(target, one, weight, bias) for one in hidden]
    torch.testing.assert_close(both, torch.stack(one_by_one))


@pytest.mark.parametrize("sparse_features", [False, True])
def test_graph_attention_is_the_slow_sum(sparse_features):
    layer, x = nn.GraphAttention(5, 3), sparse_matrix(6, 5)
    adjacency = sparse_matrix(4, 6, density=0.6)
    adjacency[2] = 0
    adjacency[:, 0] = torch.where(torch.arange(4) == 2, 0, 0.5)
    mask = torch.tensor([1.0, 0, 1, 1, 1])
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
        given = x.to_sparse_csr() if sparse_features else x
        result = layer(given, adjacency.to_sparse_csr(), mask)
        mapped = (x * mask) @ layer.weight
        expected = torch.zeros(4, 3)
        for i in range(4):
            weights = np.zeros(6)
            for j in range(6):
                score = leaky_relu(mapped[i] @ layer.of_target[:, 0] + mapped[j] @ layer.of_source[:, 0], 0.2)
                weights[j] = float(adjacency[i, j]) * np.exp(float(score))
            total = weights.sum()
            if total > 0:
                for j in range(6):
                    expected[i] += weights[j] / total * mapped[j]
    torch.testing.assert_close(result, expected + layer.bias, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(result[2], layer.bias.detach())


def test_dropped_edges_receive_no_attention():
    layer = nn.GraphAttention(2, 2)
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    stored = torch.tensor([[1.0, 1.0], [1.0, 1.0]]).to_sparse_csr()
    dropped = nn.sparse_csr(stored.crow_indices(), stored.col_indices(), torch.tensor([1.0, 0.0, 1.0, 1.0]), (2, 2))
    torch.testing.assert_close(layer(x, dropped)[0], (x @ layer.weight)[0])
