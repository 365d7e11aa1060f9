"""From the windows of spots, in one or two modalities, to their latent representation and back."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from spotscape.nn._batch_norm import SeedBatchNorm


def window_average(means: Tensor, counts: Tensor) -> Tensor:
    r"""Average features of each window over all its spots, from those of its rings.

    .. math:: a_i = \frac{\sum_r n_{ir} \mu_{ir}}{\sum_r n_{ir}}

    Parameters
    ----------
    means
        :math:`\mu`: mean features of each ring. ``(n_spots, n_rings, n_features)``.
    counts
        :math:`n`: number of spots of each ring. ``(n_spots, n_rings)``.

    Returns
    -------
    ``(n_spots, n_features)``, zero for windows without any spot.
    """
    return torch.einsum("ir,ird->id", counts / counts.sum(1, keepdim=True).clamp(min=1), means)


def ring_shares(counts: Tensor) -> Tensor:
    """Share of each ring that is there: 1 from the 6r spots of a hexagonal lattice on. ``(n_spots, n_rings)``."""
    sizes = 6 * torch.arange(counts.shape[1], dtype=counts.dtype, device=counts.device)
    return (counts / sizes.clamp(min=1)).clamp(max=1)


class WindowEncoder(nn.Module):
    r"""Encodes windows ring by ring, so that turning a section changes nothing.

    .. math:: z_i = \sum_m \sqrt{w_m}\, a_i^{(m)} P_m + f\left(\sqrt{w_m}\, \mu_i^{(m)}, q_i^{(m)}\right)

    with the average features :math:`a` of the window in each modality :math:`m`, the mean features :math:`\mu` of its
    rings and the shares :math:`q` of them that are there. :math:`P` are given axes, principal components for
    example, that go on to be trained; :math:`f` is a network of one hidden layer that starts at zero. So the
    representation starts as a good one, whatever the seed, and training improves on it.

    Parameters
    ----------
    n_features
        Number of features of each modality.
    n_rings
        Number of rings, the spot itself included.
    weights
        :math:`w`: weight of each modality.
    n_hidden, n_latent
        Widths.
    batch_norm_momentum
        Weight of the newest batch in the running statistics, in PyTorch's sense.
    """

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
        self.names = tuple(n_features)
        self.n_latent = n_latent
        self.scales = {name: float(weights[name]) ** 0.5 for name in n_features}
        self.projection = nn.Linear(sum(n_features.values()), n_latent, bias=False)
        self.hidden = nn.Linear(n_rings * sum(width + 1 for width in n_features.values()), n_hidden, bias=False)
        self.norm = SeedBatchNorm(n_hidden, momentum=batch_norm_momentum)
        self.output = nn.Linear(n_hidden, n_latent)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def set_axes(self, axes: Tensor) -> None:
        """Start from given axes, ``(n_features_of_all_modalities, at_most_n_latent)``."""
        with torch.no_grad():
            self.projection.weight.copy_(pad(axes, (0, self.n_latent - axes.shape[1])).T)

    def averages(self, means: Mapping[str, Tensor], counts: Mapping[str, Tensor]) -> Tensor:
        """Weighted average features of all modalities side by side. ``(n_spots, n_features_of_all_modalities)``."""
        return torch.cat([self.scales[name] * window_average(means[name], counts[name]) for name in self.names], dim=1)

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
        rings = [
            part
            for name in self.names
            for part in (self.scales[name] * means[name].flatten(1), ring_shares(counts[name]))
        ]
        hidden = torch.relu(self.norm(self.hidden(torch.cat(rings, dim=1))))
        return self.projection(self.averages(means, counts)) + self.output(hidden)


class WindowDecoder(nn.Module):
    """From the latent representation back to the mean features of each ring of the window, in each modality.

    Parameters
    ----------
    n_features
        Number of features of each modality.
    n_rings
        Number of rings, the spot itself included.
    n_hidden, n_latent
        Widths.
    batch_norm_momentum
        Weight of the newest batch in the running statistics, in PyTorch's sense.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_rings: int,
        *,
        n_hidden: int = 64,
        n_latent: int = 16,
        batch_norm_momentum: float = 0.1,
    ):
        super().__init__()
        self.n_rings = n_rings
        self.hidden = nn.Sequential(
            nn.Linear(n_latent, n_hidden, bias=False), SeedBatchNorm(n_hidden, momentum=batch_norm_momentum), nn.ReLU()
        )
        self.output = nn.ModuleDict({name: nn.Linear(n_hidden, n_rings * width) for name, width in n_features.items()})

    def forward(self, latent: Tensor) -> dict[str, Tensor]:
        """Features of each ring, ``(n_spots, n_rings, n_features)``, of each modality."""
        hidden = self.hidden(latent)
        return {name: layer(hidden).unflatten(1, (self.n_rings, -1)) for name, layer in self.output.items()}


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
