"""Value and gradient of every loss of SPOTSCAPE against its slow definition."""

import itertools

import numpy as np
import pytest
import torch
from scipy.sparse import random as random_sparse

from spotscape import nn

from .conftest import csr_tensor


def slow_telescope(z1, z2):
    a, b = (z / z.norm(dim=1, keepdim=True) for z in (z1, z2))
    similarity = a @ b.T
    return (similarity - similarity.T).square().mean()


def slow_scaling(z1, z2, slices, k):
    a, b = (z / z.norm(dim=1, keepdim=True) for z in (z1, z2))
    similarity = a @ b.T
    terms = []
    for i in range(len(a)):
        scale = {
            s: similarity[i, slices == s].sort(descending=True).values[:k].mean() for s in slices.unique().tolist()
        }
        own = int(slices[i])
        terms += [(scale[own] - other) ** 2 for s, other in scale.items() if s != own]
    return torch.stack(terms).mean()


def slow_prototype(z, prototypes, assignment, temperature):
    losses = []
    for spot, own in zip(z, assignment, strict=True):
        cosines = torch.stack([spot @ c / (spot.norm() * c.norm()) for c in prototypes]) / temperature
        losses.append(-torch.log(cosines[own].exp() / cosines.exp().sum()))
    return torch.stack(losses).mean()


def views(n_spots=40, n_latent=6, noise=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z1 = torch.randn(n_spots, n_latent, generator=generator, dtype=torch.float64)
    z2 = z1 + noise * torch.randn(n_spots, n_latent, generator=generator, dtype=torch.float64)
    return z1.requires_grad_(), z2.requires_grad_()


def assert_same_value_and_gradient(fast, slow, *inputs, rtol=1e-9):
    value, expected = fast(*inputs), slow(*inputs)
    torch.testing.assert_close(value, expected, rtol=rtol, atol=1e-15)
    gradients = torch.autograd.grad(value, inputs)
    expected_gradients = torch.autograd.grad(expected, inputs)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=rtol, atol=1e-13)


@pytest.mark.parametrize("noise", [1.0, 1e-3])
def test_telescope_equals_the_sum_over_all_pairs(noise):
    assert_same_value_and_gradient(nn.similarity_telescope_loss, slow_telescope, *views(noise=noise))


def test_telescope_is_precise_in_float32():
    z1, z2 = (z.detach() for z in views(n_spots=300, noise=1e-3))
    expected = slow_telescope(z1, z2)
    found = nn.similarity_telescope_loss(z1.float(), z2.float())
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=0)


def test_telescope_of_patches_is_unbiased():
    """The mean over all possible batches is the loss of the whole tissue, in value and gradient."""
    z1, z2 = views(n_spots=21)
    patches = torch.arange(21).split([5, 6, 5, 5])

    def mean_over_batches(z1, z2, n_drawn):
        losses = []
        for drawn in itertools.combinations(patches, n_drawn):
            sample = nn.PatchSample([len(patch) for patch in drawn], n_drawn, len(patches), 21)
            seeds = torch.cat(drawn)
            losses.append(nn.similarity_telescope_loss(z1[seeds], z2[seeds], sample=sample))
        return torch.stack(losses).mean()

    for n_drawn in (2, 3, 4):
        assert_same_value_and_gradient(lambda a, b, n=n_drawn: mean_over_batches(a, b, n), slow_telescope, z1, z2)


def test_telescope_is_zero_for_equal_views_and_ignores_lengths():
    z1, z2 = views()
    assert nn.similarity_telescope_loss(z1, z1).abs() < 1e-15
    lengths = torch.linspace(0.5, 3, len(z1))[:, None]
    torch.testing.assert_close(nn.similarity_telescope_loss(lengths * z1, z2), nn.similarity_telescope_loss(z1, z2))


@pytest.mark.parametrize("n_slices", [2, 3, 5])
@pytest.mark.parametrize("k", [1, 4, 100])
def test_scaling_equals_its_definition(n_slices, k):
    slices = torch.arange(40) % n_slices
    assert_same_value_and_gradient(
        lambda a, b: nn.similarity_scaling_loss(a, b, slices, n_similar=k),
        lambda a, b: slow_scaling(a, b, slices, k),
        *views(),
    )


def test_scaling_in_blocks_equals_scaling_in_one_block(monkeypatch):
    slices = torch.arange(40) % 3
    whole = nn.similarity_scaling_loss(*views(), slices)
    monkeypatch.setattr("spotscape.nn._similarity_scaling._BLOCK_ELEMENTS", 50)
    torch.testing.assert_close(nn.similarity_scaling_loss(*views(), slices), whole)


def test_scaling_of_anchors_is_unbiased():
    z1, z2 = views()
    # Slices of the same size, so that every anchor has the same number of terms.
    slices = torch.arange(40) % 2
    whole = nn.similarity_scaling_loss(z1, z2, slices)
    each = [nn.similarity_scaling_loss(z1, z2, slices, anchors=torch.tensor([i])) for i in range(40)]
    torch.testing.assert_close(torch.stack(each).mean(), whole)


def test_scaling_of_patches_is_that_of_the_batch_and_not_of_the_tissue():
    # Two slices that are alike, in four patches each of spots that are alike.
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    z = centres.repeat_interleave(6, 0) + 0.1 * torch.randn(24, 5, generator=generator, dtype=torch.float64)
    z, slices, patches = torch.cat([z, z]), torch.arange(2).repeat_interleave(24), torch.arange(8).repeat_interleave(6)
    losses = []
    for drawn in itertools.combinations(range(8), 4):
        rows = torch.isin(patches, torch.tensor(drawn))
        loss = nn.similarity_scaling_loss(z[rows], z[rows], slices[rows], n_similar=2)
        torch.testing.assert_close(
            loss, slow_scaling(z[rows], z[rows], slices[rows], 2) if len(slices[rows].unique()) > 1 else loss
        )
        losses.append(loss)
    whole = nn.similarity_scaling_loss(z, z, slices, n_similar=2)
    assert torch.stack(losses).mean() > 5 * whole


def test_scaling_of_one_slice_is_zero_with_zero_gradient():
    z1, z2 = views()
    loss = nn.similarity_scaling_loss(z1, z2, torch.zeros(40, dtype=torch.long))
    (gradient,) = torch.autograd.grad(loss, z1)
    assert loss == 0 and not gradient.any()


def test_scaling_of_negative_similarities():
    # The two slices point in opposite directions, so every similarity between them is negative.
    z = torch.cat([torch.eye(3).double()[:1].repeat(6, 1), -torch.eye(3).double()[:1].repeat(6, 1)])
    slices = torch.arange(12) // 6
    torch.testing.assert_close(nn.similarity_scaling_loss(z, z, slices), torch.tensor(4.0, dtype=torch.float64))


def test_prototypical_contrastive_loss_equals_its_definition():
    z, prototypes = views()
    prototypes = prototypes.detach()[:5]
    assignment = torch.arange(40) % 5
    assert_same_value_and_gradient(
        lambda z: nn.prototypical_contrastive_loss(z, prototypes, assignment, temperature=0.3),
        lambda z: slow_prototype(z, prototypes, assignment, 0.3),
        z,
    )


def test_reconstruction_is_the_squared_error_of_each_spot():
    x, x_hat = views()
    expected = torch.stack([sum((x[i, g] - x_hat[i, g]) ** 2 for g in range(6)) / 6 for i in range(40)])
    torch.testing.assert_close(nn.reconstruction_loss(x, x_hat), expected)


def test_sparse_reconstruction_equals_the_dense_one():
    matrix = random_sparse(40, 30, density=0.2, format="csr", rng=np.random.default_rng(0))
    matrix.data[matrix.indptr[7] : matrix.indptr[8]] = 0
    matrix.eliminate_zeros()
    target = csr_tensor(matrix)
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(*s, generator=generator).double().requires_grad_() for s in ((40, 8), (30, 8), (30,))]
    assert_same_value_and_gradient(
        lambda h, w, c: nn.sparse_reconstruction_loss(target, h, w, c).sum(),
        lambda h, w, c: (torch.from_numpy(matrix.toarray()) - (h @ w.T + c)).square().mean(dim=1).sum(),
        *inputs,
    )


def test_prototypes_are_a_fixed_point_of_k_means():
    z = views(n_spots=200)[0].detach()
    prototypes = nn.find_prototypes(z, 7, n_iterations=100, generator=torch.Generator().manual_seed(0))
    assignment = nn.nearest_prototype(z, prototypes)
    distances = torch.cdist(z, prototypes)
    assert torch.equal(assignment, distances.argmin(dim=1))
    means = torch.stack([z[assignment == j].mean(dim=0) for j in range(7)])
    torch.testing.assert_close(prototypes, means)


def test_prototypes_start_from_given_ones_and_empty_ones_are_moved():
    z = torch.cat([torch.zeros(10, 2), torch.ones(10, 2), 5 * torch.ones(10, 2)])
    start = torch.tensor([[0.0, 0.0], [1.0, 1.0], [100.0, 100.0]])
    found = nn.find_prototypes(z, 3, start=start, generator=torch.Generator())
    assert sorted(found[:, 0].tolist()) == [0, 1, 5]


def test_prototypes_of_identical_spots():
    found = nn.find_prototypes(torch.ones(5, 2), 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, torch.ones(3, 2))
