"""Triplets, and the window autoencoder, against their definitions."""

import numpy as np
import pytest
import torch

from spotscape import nn


def drawn(across, *, seed=0, n=200):
    rng = np.random.default_rng(seed)
    clusters = torch.from_numpy(rng.integers(-1, 4, n))
    slices = torch.from_numpy(rng.integers(0, 3, n))
    # Cluster 3 is in one slice only, so its spots have no positive in another slice.
    clusters[(clusters == 3) & (slices != 1)] = 0
    generator = torch.Generator().manual_seed(seed)
    return clusters, slices, nn.mine_triplets(clusters, slices, 5, generator, across=across)


@pytest.mark.parametrize("across", [True, False])
def test_positives_share_the_cluster_and_negatives_do_not(across):
    clusters, slices, (anchors, positives, negatives) = drawn(across)
    assert (clusters[anchors] == clusters[positives]).all()
    assert (clusters[anchors] != clusters[negatives]).all()
    # Every spot with a cluster is paired once with each other cluster of the batch.
    pairs = set(zip(anchors.tolist(), clusters[negatives].tolist(), strict=True))
    assert len(pairs) == len(anchors)
    assert pairs == {(i, k) for i in range(200) for k in range(4) if clusters[i] >= 0 and clusters[i] != k}
    positive_in_other_slice = slices[anchors] != slices[positives]
    negative_in_same_slice = slices[anchors] == slices[negatives]
    if not across:
        assert 0.4 < positive_in_other_slice[clusters[anchors] < 3].float().mean() < 0.9
        return
    assert positive_in_other_slice[clusters[anchors] < 3].all()
    assert not positive_in_other_slice[clusters[anchors] == 3].any()
    possible = torch.tensor(
        [
            bool(((clusters == clusters[n]) & (slices == slices[a])).any())
            for a, n in zip(anchors, negatives, strict=True)
        ]
    )
    assert negative_in_same_slice[possible].all()


@pytest.mark.parametrize("across", [True, False])
def test_every_possible_positive_and_negative_is_drawn(across):
    clusters = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    slices = torch.tensor([0, 0, 1, 2, 0, 1, 1])
    found: dict[str, set[int]] = {"positives": set(), "negatives": set()}
    for seed in range(60):
        triplets = nn.mine_triplets(clusters, slices, 2, torch.Generator().manual_seed(seed), across=across)
        first = triplets.anchors == 0
        found["positives"] |= set(triplets.positives[first].tolist())
        found["negatives"] |= set(triplets.negatives[first].tolist())
    expected = ({2, 3}, {4}) if across else ({0, 1, 2, 3}, {4, 5, 6})
    assert (found["positives"], found["negatives"]) == expected


def test_the_margin_loss_equals_its_definition():
    _, _, triplets = drawn(True)
    margins = torch.rand(len(triplets.anchors), dtype=torch.float64)
    latent = torch.randn(200, 4, dtype=torch.float64, requires_grad=True)
    loss = nn.triplet_margin_loss(latent, triplets, margins)
    terms = []
    for a, p, n, m in zip(*triplets, margins, strict=True):
        if a != p:
            terms.append(torch.relu((latent[a] - latent[p]).norm() - (latent[a] - latent[n]).norm() + m))
        else:
            terms.append(torch.relu(m - (latent[a] - latent[n]).norm()))
    slow = torch.stack(terms).mean()
    assert torch.isclose(loss, slow, atol=1e-6)
    for fast, expected in zip(*(torch.autograd.grad(x, latent) for x in (loss, slow)), strict=True):
        torch.testing.assert_close(fast, expected, atol=1e-6, rtol=1e-5)


def test_without_triplets_the_loss_is_zero():
    for clusters in (torch.full((5,), -1), torch.zeros(5, dtype=torch.int64)):
        triplets = nn.mine_triplets(clusters, torch.zeros(5, dtype=torch.int64), 3, torch.Generator(), across=True)
        assert len(triplets.anchors) == 0
        assert nn.triplet_margin_loss(torch.randn(5, 2), triplets) == 0


def test_window_averages_and_errors_equal_their_definitions():
    means, counts = torch.randn(6, 3, 4), torch.randint(0, 5, (6, 3)).float()
    counts[0] = 0
    reconstruction = torch.randn(6, 3, 4)
    ring_weights = torch.tensor([1.0, 0.7, 0.25])
    average = nn.window_average(means, counts, ring_weights)
    error = nn.window_reconstruction_loss(means, reconstruction, counts)
    shares = nn.ring_shares(counts)
    assert not average[0].any() and error[0] == 0
    for i in range(1, 6):
        n_spots = [float(counts[i, r] * ring_weights[r]) for r in range(3)]
        total = sum(n_spots[r] * means[i, r] for r in range(3))
        torch.testing.assert_close(average[i], total / max(sum(n_spots), 1e-6))
        q = [min(1.0, float(counts[i, r]) / (6 * r or 1)) for r in range(3)]
        np.testing.assert_allclose(shares[i], q, rtol=1e-6)
        slow = sum(q[r] * (means[i, r] - reconstruction[i, r]).abs().mean() for r in range(3)) / max(sum(q), 1e-6)
        torch.testing.assert_close(error[i], torch.as_tensor(slow, dtype=torch.float32))


def test_encoder_and_decoder_are_initialised_with_the_given_axes():
    weights = {"rna": 0.75, "image": 0.25}
    encoder = nn.WindowEncoder({"rna": 5, "image": 3}, (1.0, 0.25), weights, n_latent=9).eval()
    decoder = nn.WindowDecoder({"rna": 5, "image": 3}, 2, weights, n_latent=9).eval()
    axes = torch.linalg.qr(torch.randn(8, 8))[0]
    for part in (encoder, decoder):
        part.set_axes(axes, 0.5)
    means = {"rna": torch.randn(7, 2, 5), "image": torch.randn(7, 2, 3)}
    counts = {"rna": torch.tensor([1.0, 4.0]).expand(7, 2), "image": torch.tensor([1.0, 4.0]).expand(7, 2)}
    # Four spots with a weight of 1/4 weigh as much as the spot itself.
    parts = [0.75**0.5 * means["rna"].mean(1), 0.25**0.5 * means["image"].mean(1)]
    latent = encoder(means, counts)
    torch.testing.assert_close(latent[:, :8], 0.5 * torch.cat(parts, 1) @ axes)
    assert not latent[:, 8].any()
    # With as many axes as features the decoder inverts the encoder and gives the average for every ring.
    for name, found in decoder(latent).items():
        torch.testing.assert_close(found, means[name].mean(1, keepdim=True).expand(-1, 2, -1), rtol=1e-4, atol=1e-5)


def test_axes_of_a_modality_with_weight_zero_are_zero():
    decoder = nn.WindowDecoder({"rna": 2, "image": 1}, 2, {"rna": 1.0, "image": 0.0}, n_latent=2).eval()
    decoder.set_axes(torch.eye(3)[:, :2], 1.0)
    found = decoder(torch.randn(4, 2))
    assert found["rna"].abs().min() > 0 and not found["image"].any()
