"""The convolutional window autoencoder is what its layers give one by one, for every width and number of members."""

import numpy as np
import pytest
import torch

from spotscape import nn

N_HIDDEN, N_LATENT, WIDTHS = 4, 3, {"rna": 3, "image": 2}
CASES = [(7, 3), (7, 2), (9, 3), (5, 1), (3, 3), (1, 3)]


def windows(width, n_spots=12):
    torch.manual_seed(1)
    return {name: torch.rand(n_spots, width**2, n) for name, n in WIDTHS.items()}


def networks(width, n_members, **arguments):
    torch.manual_seed(0)
    sizes = {"n_members": n_members, "n_hidden": N_HIDDEN, "n_latent": N_LATENT} | arguments
    return nn.ConvolutionEncoder(WIDTHS, width, **sizes), nn.ConvolutionDecoder(WIDTHS, width, **sizes)


def image_of(given, width):
    together = torch.cat(list(given.values()), dim=2)
    return together.transpose(1, 2).reshape(len(together), -1, width, width)


def slow_encoding(encoder, given, width, masks=None):
    """Members one by one, of PyTorch's own layers; ``masks`` multiply the channels after normalisation."""
    kernel = {1: 1, 3: 2}.get(width, 3)
    members = []
    for j in range(encoder.n_members):
        own = slice(j * N_HIDDEN, (j + 1) * N_HIDDEN)
        convolution = torch.nn.Conv2d(sum(WIDTHS.values()), N_HIDDEN, kernel, bias=False)
        convolution.weight.data = encoder.convolution.weight.data[own]
        maps = torch.nn.BatchNorm2d(N_HIDDEN)(convolution(image_of(given, width)))
        maps = maps if masks is None else maps * masks[j][:, None, None]
        pooled = torch.nn.MaxPool2d(kernel, stride=3)(torch.relu(maps)).flatten(1)
        members.append(pooled @ encoder.weight[j] + encoder.bias[j])
    return torch.stack(members).median(dim=0).values


@pytest.mark.parametrize(("width", "n_members"), CASES)
def test_encoder_by_its_slow_definition(width, n_members):
    encoder, _ = networks(width, n_members)
    given = windows(width)
    torch.testing.assert_close(encoder(given), slow_encoding(encoder, given, width), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("width", "n_members"), CASES)
def test_decoder_by_its_slow_definition(width, n_members):
    _, decoder = networks(width, n_members)
    latent = torch.randn(12, N_LATENT)
    n_channels, sizes = sum(WIDTHS.values()), nn.convolution_sizes(width)
    members = []
    for j in range(n_members):
        maps = torch.relu(latent @ decoder.weight[j] + decoder.bias[j])
        maps = torch.nn.Upsample(sizes.convolved)(maps.view(12, N_HIDDEN, sizes.pooled, sizes.pooled))
        transposed = torch.nn.ConvTranspose2d(N_HIDDEN, n_channels, sizes.kernel, bias=False)
        transposed.weight.data = decoder.kernels.data[:, j * n_channels : (j + 1) * n_channels]
        members.append(torch.sigmoid(torch.nn.BatchNorm2d(n_channels)(transposed(maps))))
    expected = torch.stack(members).median(dim=0).values
    assert expected.shape[2:] == (width, width)
    found = decoder(latent)
    assert {name: tuple(values.shape) for name, values in found.items()} == {
        name: (12, width**2, n) for name, n in WIDTHS.items()
    }
    torch.testing.assert_close(image_of(found, width), expected, atol=1e-5, rtol=1e-4)


def test_dropout_leaves_out_whole_channels_of_members():
    encoder, decoder = networks(7, 3, dropout_rate=0.5)
    given = windows(7, n_spots=1)
    encoder.eval()
    kept = torch.empty(1, 3, N_HIDDEN, 1).bernoulli_(0.5, generator=torch.Generator().manual_seed(5)) * 2
    pooled = encoder._pooled(encoder._convolved(given))
    expected = (torch.einsum("bmf,mfl->bml", (pooled * kept).flatten(2), encoder.weight) + encoder.bias).median(1)[0]
    torch.testing.assert_close(encoder(given, torch.Generator().manual_seed(5)), expected)
    latent = torch.randn(6, N_LATENT)
    once, again, other = (decoder(latent, torch.Generator().manual_seed(seed))["rna"] for seed in (1, 1, 2))
    assert torch.equal(once, again) and not torch.allclose(once, other)


@pytest.mark.parametrize("width", [7, 9])
def test_the_mean_over_masks_is_that_of_single_masks(width, monkeypatch):
    monkeypatch.setattr("spotscape.nn._window_convolution._MASKS_AT_A_TIME", 4)
    encoder, _ = networks(width, 3, dropout_rate=0.5)
    given = windows(width)
    encoder.fit_normalization([given])
    encoder.eval()
    found = encoder.mean_over_masks(given, 6, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    masks = torch.cat([torch.empty(n, 3, N_HIDDEN).bernoulli_(0.5, generator=generator) * 2 for n in (4, 2)])
    expected = torch.stack([slow_encoding(encoder, given, width, mask) for mask in masks]).mean(dim=0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    part = {name: values[:5] for name, values in given.items()}
    torch.testing.assert_close(encoder.mean_over_masks(part, 6, torch.Generator().manual_seed(3)), found[:5])


def test_the_fitted_normalisation_is_that_of_all_windows():
    encoder, _ = networks(7, 3)
    given = windows(7)
    in_training = encoder(given)
    encoder.fit_normalization(
        [{name: values[rows] for name, values in given.items()} for rows in ([0, 1], range(2, 12))]
    )
    encoder.eval()
    torch.testing.assert_close(encoder(given), in_training, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("n_members", [1, 2, 3, 4])
def test_medians_are_the_lower_ones_and_have_gradients(n_members):
    values = torch.randn(5, n_members, 4, requires_grad=True)
    median = nn.member_median(values, dim=1)
    expected = np.sort(values.detach().numpy(), axis=1)[:, (n_members - 1) // 2]
    np.testing.assert_array_equal(median.detach().numpy(), expected)
    median.sum().backward()
    assert (values.grad.sum(dim=1) == 1).all()
