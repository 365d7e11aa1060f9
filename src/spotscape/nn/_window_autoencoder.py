"""Autoencoder of the windows of spots, in one or two modalities."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from spotscape.nn._batch_norm import SeedBatchNorm


def window_average(means: Tensor, counts: Tensor, ring_weights: Tensor) -> Tensor:
    r"""Average the features of each window over its spots, with a weight for each ring.

    .. math:: a_i = \frac{\sum_r v_r n_{ir} \mu_{ir}}{\sum_r v_r n_{ir}}

    Parameters
    ----------
    means
        :math:`\mu`: mean features of each ring. ``(n_spots, n_rings, n_features)``.
    counts
        :math:`n`: number of spots in each ring. ``(n_spots, n_rings)``.
    ring_weights
        :math:`v`: weight of one spot of each ring. ``(n_rings,)``.

    Returns
    -------
    Average features, zero for windows without spots. ``(n_spots, n_features)``.

    Examples
    --------
    One spot with the value 4 and six neighbours with the value 1, each weighing half as much:

    >>> import torch
    >>> from spotscape import nn
    >>> means, counts = torch.tensor([[[4.0], [1.0]]]), torch.tensor([[1.0, 6.0]])
    >>> nn.window_average(means, counts, ring_weights=torch.tensor([1.0, 0.5]))
    tensor([[1.7500]])
    """
    weights = counts * ring_weights
    return torch.einsum("ir,ird->id", weights / weights.sum(1, keepdim=True).clamp(min=1e-6), means)


def ring_shares(counts: Tensor) -> Tensor:
    r"""Completeness of each ring, relative to the :math:`6r` spots of ring :math:`r` on a hexagonal lattice.

    Parameters
    ----------
    counts
        Number of spots in each ring, ring 0 being the spot itself. ``(n_spots, n_rings)``.

    Returns
    -------
    Share of the spots that are present, at most 1. ``(n_spots, n_rings)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> nn.ring_shares(torch.tensor([[1.0, 3.0, 15.0]]))
    tensor([[1.0000, 0.5000, 1.0000]])
    """
    full_sizes = 6 * torch.arange(counts.shape[1], dtype=counts.dtype, device=counts.device)
    return (counts / full_sizes.clamp(min=1)).clamp(max=1)


class WindowEncoder(nn.Module):
    r"""Linear encoder of the average features of each window, which do not change if a section is rotated.

    .. math:: z_i = s \sum_m \sqrt{w_m}\, a_i^{(m)} P_m

    with the average features :math:`a` of the window in each modality :math:`m`. The axes :math:`P` are initialised by
    :meth:`set_axes`, for example with principal components, and then trained; :math:`s` is their scale. Training thus
    starts from an informative representation, for every random seed, and rotates and rescales its axes.

    Parameters
    ----------
    n_features
        Number of features of each modality.
    ring_weights
        Weight of one spot of each ring in the average; the first ring is the spot itself.
    weights
        :math:`w`: weight of each modality.
    n_latent
        Number of latent dimensions.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> encoder = nn.WindowEncoder({"rna": 3}, ring_weights=(1.0, 0.5), weights={"rna": 1.0}, n_latent=2)
    >>> encoder.set_axes(torch.eye(3)[:, :2], scale=1.0)
    >>> means, counts = {"rna": torch.ones(4, 2, 3)}, {"rna": torch.ones(4, 2)}
    >>> encoder(means, counts)[0].tolist()
    [1.0, 1.0]
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
        """Initialise the axes.

        Parameters
        ----------
        axes
            Axes of length 1, as columns, with the features of all modalities as rows; at most ``n_latent`` axes.
            ``(n_all_features, n_axes)``.
        scale
            Factor :math:`s` of the latent representation.
        """
        # The scale is not part of the axes, so that an optimisation step is small relative to them.
        with torch.no_grad():
            self.projection.weight.copy_(pad(axes, (0, self.n_latent - axes.shape[1])).T)
            self.scale.fill_(scale)

    def forward(self, means: Mapping[str, Tensor], counts: Mapping[str, Tensor]) -> Tensor:
        """Encode.

        Parameters
        ----------
        means, counts
            Arguments of :func:`window_average` for each modality.

        Returns
        -------
        Latent representation. ``(n_spots, n_latent)``.
        """
        averages = [
            self.scales[name] * window_average(means[name], counts[name], self.ring_weights) for name in self.names
        ]
        return self.scale * self.projection(torch.cat(averages, dim=1))


class WindowDecoder(nn.Module):
    r"""Decoder from the latent representation to the mean features of each ring of the window, in each modality.

    .. math:: \hat\mu_{ir}^{(m)} = \frac{z_i}{s \sqrt{w_m}} A_{mr} + g_{mr}(z_i)

    :math:`A` is initialised with the axes of :class:`WindowEncoder`, the same in all rings. :math:`g`, a network with
    one hidden layer, is initialised as zero. The decoder thus starts as the inverse of the encoder.

    Parameters
    ----------
    n_features
        Number of features of each modality.
    n_rings
        Number of rings, including the spot itself.
    weights
        :math:`w`: weight of each modality. The axes of a modality with weight 0 are initialised as zero.
    n_hidden, n_latent
        Number of hidden units and of latent dimensions.
    batch_norm_momentum
        Weight of the newest batch in the running statistics, as in PyTorch.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> decoder = nn.WindowDecoder({"rna": 3}, n_rings=2, weights={"rna": 1.0}, n_latent=2).eval()
    >>> decoder.set_axes(torch.eye(3)[:, :2], scale=1.0)
    >>> decoder(torch.tensor([[5.0, 7.0]]))["rna"].tolist()
    [[[5.0, 7.0, 0.0], [5.0, 7.0, 0.0]]]
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
            {name: _zero_initialised_linear(n_hidden, n_rings * width) for name, width in n_features.items()}
        )

    def set_axes(self, axes: Tensor, scale: float) -> None:
        """Initialise with the axes and the scale of the encoder, see :meth:`WindowEncoder.set_axes`."""
        axes_by_modality = axes.split(list(self.n_features.values()))
        with torch.no_grad():
            self.scale.fill_(scale)
            for name, own_axes in zip(self.n_features, axes_by_modality, strict=True):
                factor = self.weights[name] ** 0.5
                unweighted = own_axes / factor if factor > 0 else torch.zeros_like(own_axes)
                loadings = pad(unweighted, (0, self.n_latent - axes.shape[1])).repeat(self.n_rings, 1)
                cast(nn.Linear, self.loadings[name]).weight.copy_(loadings)

    def forward(self, latent: Tensor) -> dict[str, Tensor]:
        """Decode.

        Parameters
        ----------
        latent
            Latent representation. ``(n_spots, n_latent)``.

        Returns
        -------
        Mean features of each ring, for each modality. ``(n_spots, n_rings, n_features)``.
        """
        hidden, unscaled = self.hidden(latent), torch.div(latent, self.scale)
        return {
            name: (self.loadings[name](unscaled) + layer(hidden)).unflatten(1, (self.n_rings, -1))
            for name, layer in self.output.items()
        }


def window_reconstruction_loss(target: Tensor, reconstruction: Tensor, counts: Tensor) -> Tensor:
    r"""Mean absolute error of each window over its rings, weighted by their completeness.

    .. math:: L_i = \frac{\sum_r q_{ir}\, |x_{ir} - \hat x_{ir}|_1}{D \sum_r q_{ir}}

    with the number of features :math:`D` and the completeness :math:`q` of each ring, see :func:`ring_shares`.

    Parameters
    ----------
    target, reconstruction
        Mean features :math:`x` of each ring, and their reconstruction. ``(n_spots, n_rings, n_features)``.
    counts
        Number of spots in each ring. ``(n_spots, n_rings)``.

    Returns
    -------
    Loss of each window, zero for windows without spots. ``(n_spots,)``.

    Examples
    --------
    The second ring of the second window is empty and does not count:

    >>> import torch
    >>> from spotscape import nn
    >>> target, reconstruction = torch.tensor([[[1.0], [4.0]], [[1.0], [0.0]]]), torch.zeros(2, 2, 1)
    >>> nn.window_reconstruction_loss(target, reconstruction, counts=torch.tensor([[1.0, 6.0], [1.0, 0.0]]))
    tensor([2.5000, 1.0000])
    """
    shares = ring_shares(counts)
    errors = (target - reconstruction).abs().mean(2)
    return (shares * errors).sum(1) / shares.sum(1).clamp(min=1e-6)


def _zero_initialised_linear(n_in: int, n_out: int) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
