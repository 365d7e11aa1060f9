"""From the windows of spots, in one or two modalities, to their latent representation and back."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from spotscape.nn._batch_norm import SeedBatchNorm


def window_average(means: Tensor, counts: Tensor, ring_weights: Tensor) -> Tensor:
    r"""Average features of each window over its spots, which count by their rings.

    .. math:: a_i = \frac{\sum_r v_r n_{ir} \mu_{ir}}{\sum_r v_r n_{ir}}

    Parameters
    ----------
    means
        :math:`\mu`: mean features of each ring. ``(n_spots, n_rings, n_features)``.
    counts
        :math:`n`: number of spots of each ring. ``(n_spots, n_rings)``.
    ring_weights
        :math:`v`: weight of a spot of each ring. ``(n_rings,)``.

    Returns
    -------
    ``(n_spots, n_features)``, zero for windows without any spot.
    """
    shares = counts * ring_weights
    return torch.einsum("ir,ird->id", shares / shares.sum(1, keepdim=True).clamp(min=1e-6), means)


def ring_shares(counts: Tensor) -> Tensor:
    """Share of each ring that is there: 1 from the 6r spots of a hexagonal lattice on. ``(n_spots, n_rings)``."""
    sizes = 6 * torch.arange(counts.shape[1], dtype=counts.dtype, device=counts.device)
    return (counts / sizes.clamp(min=1)).clamp(max=1)


class WindowEncoder(nn.Module):
    r"""Encodes windows by the average features of each, so that turning a section changes nothing.

    .. math:: z_i = s \sum_m \sqrt{w_m}\, a_i^{(m)} P_m

    with the average features :math:`a` of the window in each modality :math:`m`. :math:`P` are given axes, principal
    components for example, that go on to be trained, and :math:`s` is their scale. So the representation starts as a
    good one, whatever the seed, and training turns and weighs its axes.

    Parameters
    ----------
    n_features
        Number of features of each modality.
    ring_weights
        Weight of a spot of each ring in the average, the spot itself first.
    weights
        :math:`w`: weight of each modality.
    n_latent
        Width of the representation.
    """

    scale: Tensor
    ring_weights: Tensor

    def __init__(
        self,
        n_features: Mapping[str, int],
        ring_weights: Sequence[float],
        weights: Mapping[str, float],
        *,
        n_latent: int = 16,
    ):
        super().__init__()
        self.names = tuple(n_features)
        self.n_latent = n_latent
        self.scales = {name: float(weights[name]) ** 0.5 for name in n_features}
        self.register_buffer("ring_weights", torch.as_tensor(ring_weights, dtype=torch.float32))
        self.register_buffer("scale", torch.ones(()))
        self.projection = nn.Linear(sum(n_features.values()), n_latent, bias=False)

    def set_axes(self, axes: Tensor, scale: float) -> None:
        """Start from given axes of length 1, ``(n_features_of_all_modalities, at_most_n_latent)``, and their scale."""
        # The scale stands beside the axes, so that a step of training is small against them.
        with torch.no_grad():
            self.projection.weight.copy_(pad(axes, (0, self.n_latent - axes.shape[1])).T)
            self.scale.fill_(scale)

    def forward(self, means: Mapping[str, Tensor], counts: Mapping[str, Tensor]) -> Tensor:
        """Encode.

        Parameters
        ----------
        means, counts
            For each modality, as in :func:`window_average`.

        Returns
        -------
        Latent representation. ``(n_spots, n_latent)``.
        """
        averages = [
            self.scales[name] * window_average(means[name], counts[name], self.ring_weights) for name in self.names
        ]
        return self.scale * self.projection(torch.cat(averages, dim=1))


class WindowDecoder(nn.Module):
    r"""From the latent representation back to the mean features of each ring of the window, in each modality.

    .. math:: \hat\mu_{ir}^{(m)} = \frac{z_i}{s \sqrt{w_m}} A_{mr} + g_{mr}(z_i)

    :math:`A` starts as given axes, the same in all rings, and :math:`g`, a network of one hidden layer, at zero: as
    what the start of :class:`WindowEncoder` comes from, so that the two need not first find each other.

    Parameters
    ----------
    n_features
        Number of features of each modality.
    n_rings
        Number of rings, the spot itself included.
    weights
        :math:`w`: weight of each modality. Axes of one without weight start at zero.
    n_hidden, n_latent
        Widths.
    batch_norm_momentum
        Weight of the newest batch in the running statistics, in PyTorch's sense.
    """

    scale: Tensor

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_rings: int,
        weights: Mapping[str, float],
        *,
        n_hidden: int = 64,
        n_latent: int = 16,
        batch_norm_momentum: float = 0.1,
    ):
        super().__init__()
        self.n_rings = n_rings
        self.n_latent = n_latent
        self.n_features = dict(n_features)
        self.weights = {name: float(weights[name]) for name in n_features}
        self.register_buffer("scale", torch.ones(()))
        self.loadings = nn.ModuleDict(
            {name: nn.Linear(n_latent, n_rings * width, bias=False) for name, width in n_features.items()}
        )
        self.hidden = nn.Sequential(
            nn.Linear(n_latent, n_hidden, bias=False), SeedBatchNorm(n_hidden, momentum=batch_norm_momentum), nn.ReLU()
        )
        self.output = nn.ModuleDict(
            {name: _zero_linear(n_hidden, n_rings * width) for name, width in n_features.items()}
        )

    def set_axes(self, axes: Tensor, scale: float) -> None:
        """Start from the axes and the scale of :meth:`WindowEncoder.set_axes`."""
        parts = axes.split(list(self.n_features.values()))
        with torch.no_grad():
            self.scale.fill_(scale)
            for name, part in zip(self.n_features, parts, strict=True):
                share = self.weights[name] ** 0.5
                start = part / share if share > 0 else torch.zeros_like(part)
                loadings = pad(start, (0, self.n_latent - axes.shape[1])).repeat(self.n_rings, 1)
                cast(nn.Linear, self.loadings[name]).weight.copy_(loadings)

    def forward(self, latent: Tensor) -> dict[str, Tensor]:
        """Features of each ring, ``(n_spots, n_rings, n_features)``, of each modality."""
        hidden, unscaled = self.hidden(latent), torch.div(latent, self.scale)
        return {
            name: (self.loadings[name](unscaled) + layer(hidden)).unflatten(1, (self.n_rings, -1))
            for name, layer in self.output.items()
        }


def _zero_linear(n_in: int, n_out: int) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def window_reconstruction_loss(target: Tensor, reconstruction: Tensor, counts: Tensor) -> Tensor:
    r"""Mean absolute error of the rings that have a spot, for each window.

    .. math:: L_i = \frac{\sum_r q_{ir}\, |x_{ir} - \hat x_{ir}|_1}{D \sum_r q_{ir}}

    with the number of features :math:`D` and the shares :math:`q` of :func:`ring_shares`.

    Parameters
    ----------
    target, reconstruction
        Mean features of each ring. ``(n_spots, n_rings, n_features)``.
    counts
        Number of spots of each ring. ``(n_spots, n_rings)``.

    Returns
    -------
    ``(n_spots,)``, zero for windows without any spot.
    """
    shares = ring_shares(counts)
    errors = (target - reconstruction).abs().mean(2)
    return (shares * errors).sum(1) / shares.sum(1).clamp(min=1e-6)
