"""Losses, masks and clusters of SEDR against their slow definitions."""

import itertools

import numpy as np
import pytest
import torch
from scipy.sparse import random as random_sparse
from sklearn.cluster import KMeans
from torch.distributions import Normal, kl_divergence

from spotscape import nn
from spotscape.nn._adjacency_likelihood import _weighted_sums

from .conftest import csr_tensor
from .test_losses import assert_same_value_and_gradient


def tissue(sizes=(14, 9), seed=0):
    """Latent representation, slice codes and edges of a tissue. Each slice is a closed chain; spots are shuffled."""
    generator = torch.Generator().manual_seed(seed)
    n_spots = sum(sizes)
    latent = torch.randn(n_spots, 4, generator=generator, dtype=torch.float64).requires_grad_()
    slices = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    order = torch.randperm(n_spots, generator=generator)
    rings = torch.split(torch.arange(n_spots), list(sizes))
    edges = torch.cat([torch.stack([torch.cat([r, r.roll(1)]), torch.cat([r.roll(1), r])]) for r in rings], dim=1)
    position = order.argsort()
    return latent, slices[order], position[edges]


def all_pairs(slices):
    return torch.nonzero(slices[:, None] == slices).T


def slow_adjacency(latent, slices, edges):
    joined = set(zip(*edges.tolist(), strict=True))
    edge_losses, non_edge_losses = [], []
    for i, j in itertools.permutations(range(len(latent)), 2):
        probability = torch.sigmoid(latent[i] @ latent[j])
        if (i, j) in joined:
            edge_losses.append(-probability.log())
        elif slices[i] == slices[j]:
            non_edge_losses.append(-(1 - probability).log())
    return (torch.stack(edge_losses).mean() + torch.stack(non_edge_losses).mean()) / 2


def test_adjacency_loss_of_all_pairs_is_the_dense_loss():
    latent, slices, edges = tissue()
    assert_same_value_and_gradient(
        lambda z: nn.adjacency_loss(z, edges, all_pairs(slices), slices),
        lambda z: slow_adjacency(z, slices, edges),
        latent,
        rtol=1e-7,
    )


def test_sampled_adjacency_loss_is_unbiased():
    latent, slices, edges = tissue()
    dense = slow_adjacency(latent, slices, edges)
    (dense_gradient,) = torch.autograd.grad(dense, latent)
    losses, gradients = [], []
    for seed in range(1000):
        pairs = nn.draw_pairs(slices, 20, torch.Generator().manual_seed(seed))
        losses.append(nn.adjacency_loss(latent, edges, pairs, slices))
        gradients.append(torch.autograd.grad(losses[-1], latent)[0])
    for values, expected in ((torch.stack(losses).detach(), dense.detach()), (torch.stack(gradients), dense_gradient)):
        error = values.std(dim=0) / len(values) ** 0.5
        assert (values.std(dim=0) > 0).all()
        # With 93 comparisons, 4.5 standard errors are exceeded by chance about once in 1,500 runs.
        assert ((values.mean(dim=0) - expected).abs() < 4.5 * error).all()


def test_pairs_are_uniform_and_within_slices():
    slices = torch.tensor([2, 0, 0, 2, 2, 5])
    pairs = nn.draw_pairs(slices, 28_000, torch.Generator().manual_seed(0))
    assert (slices[pairs[0]] == slices[pairs[1]]).all()
    counts = torch.zeros(6, 6).index_put_(tuple(pairs), torch.ones(pairs.shape[1]), accumulate=True)
    expected = 28_000 / 14 * (slices[:, None] == slices)
    assert (counts - expected).abs().max() < 5 * 2_000**0.5


@pytest.mark.parametrize("n_drawn", [2, 3, 4])
def test_adjacency_sums_of_patches_are_unbiased(n_drawn):
    """The means over all possible batches are the sums of the whole tissue."""
    latent, slices, edges = tissue()
    patches = [torch.nonzero(slices == s).squeeze(1).tensor_split(n) for s, n in ((0, 3), (1, 2))]
    patches = [patch for slice_patches in patches for patch in slice_patches]
    whole = _weighted_sums(latent, edges, all_pairs(slices), slices, None)
    found = []
    for drawn in itertools.combinations(patches, n_drawn):
        seeds = torch.cat(drawn)
        position = torch.full((len(latent),), -1)
        position[seeds] = torch.arange(len(seeds))
        inside = position[edges]
        inside = inside[:, (inside >= 0).all(dim=0)]
        sample = nn.PatchSample([len(patch) for patch in drawn], n_drawn, len(patches), len(latent))
        batch_slices = slices[seeds]
        found.append(torch.stack(_weighted_sums(latent[seeds], inside, all_pairs(batch_slices), batch_slices, sample)))
    torch.testing.assert_close(torch.stack(found).mean(dim=0), torch.stack(whole))


def test_adjacency_loss_if_all_pairs_have_an_edge():
    latent = torch.ones(3, 2)
    slices = torch.zeros(3, dtype=torch.long)
    edges = all_pairs(slices)
    edges = edges[:, edges[0] != edges[1]]
    loss = nn.adjacency_loss(latent, edges, all_pairs(slices), slices)
    torch.testing.assert_close(loss, torch.log1p(torch.exp(torch.tensor(-2.0))) / 2)


def test_edges_between_seeds_exclude_self_loops_and_other_nodes():
    dense = torch.tensor([[1.0, 2.0, 0.0, 3.0], [2.0, 1.0, 4.0, 0.0], [0.0, 4.0, 1.0, 5.0]])
    found = nn.edges_between_seeds(dense.to_sparse_csr(), 2)
    assert found.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("gamma", [1.0, 3.0])
def test_scaled_cosine_loss_is_its_definition(gamma):
    generator = torch.Generator().manual_seed(0)
    x, x_hat = (torch.randn(20, 6, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    assert_same_value_and_gradient(
        lambda a, b: nn.scaled_cosine_loss(a, b, gamma=gamma).sum(),
        lambda a, b: sum((1 - torch.cosine_similarity(a[i], b[i], dim=0)) ** gamma for i in range(20)),
        x,
        x_hat,
    )


def test_sparse_scaled_cosine_loss_equals_the_dense_one():
    matrix = random_sparse(40, 30, density=0.2, format="csr", rng=np.random.default_rng(0))
    matrix.data[matrix.indptr[7] : matrix.indptr[8]] = 0
    matrix.eliminate_zeros()
    target = csr_tensor(matrix)
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(*s, generator=generator).double().requires_grad_() for s in ((40, 8), (30, 8), (30,))]
    assert_same_value_and_gradient(
        lambda h, w, c: nn.sparse_scaled_cosine_loss(target, h, w, c).sum(),
        lambda h, w, c: nn.scaled_cosine_loss(torch.from_numpy(matrix.toarray()), h @ w.T + c).sum(),
        *inputs,
    )


@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
def test_a_reconstruction_that_cancels_stays_within_the_range_of_the_cosine(size):
    torch.manual_seed(0)
    target = torch.rand(200, 30)
    hidden = (size * torch.randn(200, 4)).requires_grad_()
    weight = torch.randn(30, 4)
    # The bias takes back what the first spot is given, up to rounding.
    bias = -(weight @ hidden[0].detach()) + 1e-6 * torch.randn(30)
    loss = nn.sparse_scaled_cosine_loss(target.to_sparse_csr(), hidden, weight, bias)
    assert torch.isfinite(loss).all() and (loss >= 0).all() and (loss <= 8).all()
    loss.sum().backward()
    assert torch.isfinite(hidden.grad).all()
    exact = nn.scaled_cosine_loss(target.double(), hidden.detach().double() @ weight.double().T + bias.double())
    torch.testing.assert_close(loss[1:].detach().double(), exact[1:], atol=1e-2, rtol=1e-2)


def test_the_mean_over_no_spots_is_zero_and_has_a_gradient():
    values = torch.ones(3, requires_grad=True)
    mean = nn.mean_over_processes(values[torch.zeros(3, dtype=torch.bool)])
    mean.backward()
    assert mean == 0 and (values.grad == 0).all()


def test_an_empty_spot_has_a_cosine_error_of_one_and_no_gradient():
    x_hat = torch.randn(1, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = nn.scaled_cosine_loss(torch.zeros(1, 3), x_hat)
    (gradient,) = torch.autograd.grad(loss.sum(), x_hat)
    assert loss.item() == 1 and not gradient.any()


def test_kl_divergence_equals_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    mean, log_deviation = (torch.randn(9, 4, generator=generator) for _ in range(2))
    expected = kl_divergence(Normal(mean, log_deviation.exp()), Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(nn.kl_divergence(mean, log_deviation), expected)


def test_deep_embedded_clustering_equals_its_definition():
    generator = torch.Generator().manual_seed(0)
    z, centres = torch.randn(15, 3, generator=generator), torch.randn(4, 3, generator=generator)
    q = nn.soft_assignment(z, centres)
    p = nn.target_distribution(q)
    losses = nn.clustering_loss(q, p)
    kernel = np.array([[1 / (1 + float(((a - b) ** 2).sum())) for b in centres] for a in z])
    expected_q = kernel / kernel.sum(axis=1, keepdims=True)
    sharpened = np.array([[expected_q[i, j] ** 2 / expected_q[:, j].sum() for j in range(4)] for i in range(15)])
    expected_p = sharpened / sharpened.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(q, expected_q, rtol=1e-5)
    np.testing.assert_allclose(p, expected_p, rtol=1e-5)
    np.testing.assert_allclose(losses, (expected_p * np.log(expected_p / expected_q)).sum(axis=1), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(nn.clustering_loss(q, q), torch.zeros(15), atol=1e-6, rtol=0)


def test_centres_are_as_good_as_those_of_scikit_learn():
    z = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    centres = nn.find_centres(z, 6, generator=torch.Generator().manual_seed(0))
    inertia = torch.cdist(z, centres).min(dim=1).values.square().sum()
    assert inertia < 1.01 * KMeans(6, n_init=20, random_state=0).fit(z.numpy()).inertia_


def test_masks_depend_on_spots_and_keys_only():
    nodes = torch.arange(20_000)
    mask = nn.draw_spot_mask(nodes, 0.8, key=3)
    # Five standard errors of a share of 20,000.
    assert abs(mask.double().mean() - 0.8) < 0.0142
    order = torch.randperm(20_000, generator=torch.Generator().manual_seed(0))[:500]
    torch.testing.assert_close(nn.draw_spot_mask(nodes[order], 0.8, key=3), mask[order])
    both = (mask & nn.draw_spot_mask(nodes, 0.8, key=4)).double().mean()
    assert abs(both - 0.64) < 0.017


@pytest.mark.parametrize("additive", [False, True])
def test_masking_after_the_linear_map_is_masking_the_features(additive):
    generator = torch.Generator().manual_seed(0)
    x, weight, token = (torch.randn(*s, generator=generator) for s in ((10, 5), (5, 3), (5,)))
    mask = torch.arange(10) % 3 == 0
    hidden_features = x.clone()
    hidden_features[mask] = hidden_features[mask] + token if additive else token
    found = nn.mask_spots(x @ weight, token @ weight, mask, additive=additive)
    torch.testing.assert_close(found, hidden_features @ weight)


def test_dropout_keeps_the_mean():
    values = torch.full((200, 200), 2.0)
    dropped = nn.drop_out(values, 0.2, torch.Generator().manual_seed(0))
    assert set(dropped.unique().tolist()) == {0.0, 2.5}
    # Five standard errors.
    assert abs(dropped.mean() - 2) < 0.025
    assert nn.drop_out(values, 0.2, None) is values
