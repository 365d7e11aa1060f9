"""Graph convolutions from the features of spots to their latent representation, and the decoder back."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu
from torch_geometric.nn import SimpleConv

from spotscape.nn._batch_norm import SeedBatchNorm
from spotscape.nn._sparse import leading_rows


class NeighbourhoodSum(nn.Module):
    """Weighted sum over the neighbours of each spot, always in single precision.

    Sparse products in half precision do not exist on CPUs, and a sum over neighbours gains nothing from it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolve = SimpleConv(aggr="sum")

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Sum. ``(n_sources, d)`` and ``(n_targets, n_sources)`` to ``(n_targets, d)``."""
        with torch.autocast(x.device.type, enabled=False):
            return self.convolve((x.to(adjacency.dtype), None), adjacency)


class GraphConvolution(nn.Module):
    r"""Graph convolution on a normalised adjacency :cite:p:`Kipf2017`.

    .. math::

        H = \hat{A} (m \odot X) W

    Since :math:`\hat{A} (X W) = (\hat{A} X) W`, spots are aggregated on whichever side is narrower; and since hiding
    the columns of :math:`X` is hiding the rows of :math:`W`, the features themselves are never copied and may be
    sparse.

    Parameters
    ----------
    n_input
        Number of input features.
    n_output
        Number of output features.
    bias
        Whether to add a bias; superfluous before a batch normalisation.
    """

    def __init__(self, n_input: int, n_output: int, *, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_input, n_output))
        self.bias = nn.Parameter(torch.zeros(n_output)) if bias else None
        nn.init.xavier_uniform_(self.weight)
        self.aggregate = NeighbourhoodSum()

    def forward(self, x: Tensor, adjacency: Tensor, feature_mask: Tensor | None = None) -> Tensor:
        """Convolve.

        Parameters
        ----------
        x
            Features, dense or sparse CSR. ``(n_sources, n_input)``.
        adjacency
            Normalised adjacency as a sparse CSR tensor. ``(n_targets, n_sources)``.
        feature_mask
            Zeros where a feature is hidden. ``(n_input,)``.

        Returns
        -------
        ``(n_targets, n_output)``.
        """
        if x.layout == torch.strided and x.shape[1] <= self.weight.shape[1]:
            return self.transform(self.aggregate(x, adjacency), feature_mask)
        return self._with_bias(self.aggregate(x @ self._masked_weight(feature_mask), adjacency))

    def transform(self, aggregated: Tensor, feature_mask: Tensor | None = None) -> Tensor:
        """Second half of the convolution, for features that are summed over neighbours already.

        Parameters
        ----------
        aggregated
            Weighted sums over the neighbours of each spot. ``(n_targets, n_input)``.
        feature_mask
            Zeros where a feature is hidden. ``(n_input,)``.

        Returns
        -------
        ``(n_targets, n_output)``.
        """
        return self._with_bias(aggregated @ self._masked_weight(feature_mask))

    def _masked_weight(self, feature_mask: Tensor | None) -> Tensor:
        return self.weight if feature_mask is None else feature_mask[:, None] * self.weight

    def _with_bias(self, hidden: Tensor) -> Tensor:
        return hidden if self.bias is None else hidden + self.bias


class GraphEncoder(nn.Module):
    r"""Graph convolutions, each followed by batch normalisation and ReLU; by default the last one is linear.

    With ``residual``, the convolutions add to the smoothed features,

    .. math::

        Z = \hat{A}^L (m \odot X) I + f(X, \hat{A}),

    where :math:`I` lays the leading features on the leading dimensions, and :math:`f` starts at zero. The
    representation then starts as a good one, whatever the seed, and training improves on it
    :cite:p:`He2016,Wu2019`.

    Parameters
    ----------
    widths
        Number of features before the first layer, between the layers, and of the latent representation.
    batch_norm_momentum
        Weight of the newest batch in the running statistics, in PyTorch's sense.
    latent_activation
        ``"linear"``, or ``"relu"`` with batch normalisation before it, as published.
    residual
        Whether the convolutions add to the smoothed features.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        batch_norm_momentum: float = 0.1,
        latent_activation: str = "linear",
        residual: bool = False,
    ):
        super().__init__()
        n_layers = len(widths) - 1
        self.n_latent = widths[-1]
        self.residual = residual
        self.average = NeighbourhoodSum()
        normalised = [i < n_layers - 1 or latent_activation == "relu" for i in range(n_layers)]
        self.convolutions = nn.ModuleList(
            GraphConvolution(widths[i], widths[i + 1], bias=not normalised[i]) for i in range(n_layers)
        )
        self.norms = nn.ModuleList(
            SeedBatchNorm(width, momentum=batch_norm_momentum)
            for width, norm in zip(widths[1:], normalised, strict=True)
            if norm
        )
        if residual:
            nn.init.zeros_(cast(GraphConvolution, self.convolutions[-1]).weight)

    def forward(
        self, x: Tensor, adjacency: Tensor, nodes_within_hop: Sequence[int], feature_mask: Tensor | None = None
    ) -> Tensor:
        """Encode.

        Parameters
        ----------
        x
            Features of all nodes, seeds first, then their neighbours by the number of hops. ``(n_nodes, n_input)``.
        adjacency
            Normalised adjacency as a sparse CSR tensor, with a row for each node nearer than the outermost hop.
        nodes_within_hop
            Number of nodes at most 0, 1, ... hops from the seeds, one more entry than there are layers. All equal for
            the full graph.
        feature_mask
            Zeros where a feature is hidden. ``(n_input,)``.

        Returns
        -------
        Latent representation of the seeds. ``(n_seeds, n_latent)``.
        """
        outermost_first = reversed(list(pairwise(nodes_within_hop)))
        rows = [leading_rows(adjacency, n_targets, n_sources) for n_targets, n_sources in outermost_first]
        hidden, smoothed = x, None
        if self.residual:
            # The first convolution takes the same sum.
            hidden = self.average(x, rows[0])
            smoothed = self._smooth(hidden, rows[1:], feature_mask)
        for i, convolution in enumerate(self.convolutions):
            mask = feature_mask if i == 0 else None
            if i == 0 and self.residual:
                hidden = cast(GraphConvolution, convolution).transform(hidden, mask)
            else:
                hidden = convolution(hidden, rows[i], mask)
            if i < len(self.norms):
                hidden = relu(self.norms[i](hidden, nodes_within_hop[0]))
        return hidden if smoothed is None else hidden + smoothed

    def _smooth(self, averaged: Tensor, rows: Sequence[Tensor], feature_mask: Tensor | None) -> Tensor:
        """Leading features of the seeds, averaged over the further hops. ``(n_seeds, n_latent)``."""
        width = min(self.n_latent, averaged.shape[1])
        smoothed = averaged[:, :width] if feature_mask is None else averaged[:, :width] * feature_mask[:width]
        for adjacency in rows:
            smoothed = self.average(smoothed, adjacency)
        return pad(smoothed, (0, self.n_latent - width))


class Decoder(nn.Module):
    """From the latent representation back to the features, spot by spot.

    Parameters
    ----------
    n_latent, n_hidden, n_output
        Widths.
    batch_norm_momentum
        Weight of the newest batch in the running statistics, in PyTorch's sense.
    """

    def __init__(self, n_latent: int, n_hidden: int, n_output: int, *, batch_norm_momentum: float = 0.1):
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(n_latent, n_hidden, bias=False),
            SeedBatchNorm(n_hidden, momentum=batch_norm_momentum),
            nn.ReLU(),
        )
        self.output = nn.Linear(n_hidden, n_output)

    def forward(self, latent: Tensor) -> Tensor:
        """Reconstruction of the features. ``(n_spots, n_output)``."""
        return self.output(self.hidden(latent))
