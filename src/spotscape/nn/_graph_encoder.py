"""Graph convolutions from the features of spots to their latent representation, and the decoder back to features."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn.functional import pad, relu

from spotscape.nn._batch_norm import SeedBatchNorm
from spotscape.nn._graph_attention import GraphAttention
from spotscape.nn._graph_convolution import GraphConvolution, NeighbourhoodSum
from spotscape.nn._sparse import leading_rows


class GraphEncoder(nn.Module):
    r"""Graph convolutions, each followed by batch normalisation and ReLU; by default the last one is linear.

    With ``residual``, the output of the convolutions is added to the smoothed features,

    .. math::

        Z = \hat{A}^L (m \odot X) I + f(X, \hat{A}),

    where :math:`I` copies the leading features into the leading latent dimensions and the convolutions :math:`f` are
    zero before training. Training thus starts from the smoothed features, for every random seed, and refines them
    :cite:p:`He2016,Wu2019`.

    Parameters
    ----------
    widths
        Number of input features, of features between the layers, and of latent dimensions.
    batch_norm_momentum
        Weight of the newest batch in the running statistics, as in PyTorch.
    latent_activation
        ``"linear"``, or ``"relu"`` with batch normalisation before it, as published.
    residual
        Whether the output of the convolutions is added to the smoothed features.
    attention
        Whether the convolutions weight the neighbours by :class:`GraphAttention` instead of by the graph alone.

    Examples
    --------
    Before training, the representation of each spot is the mean of its neighbourhood:

    >>> import torch
    >>> from spotscape import nn
    >>> encoder = nn.GraphEncoder([2, 8, 3], residual=True).eval()
    >>> adjacency = torch.full((2, 2), 0.5).to_sparse_csr()
    >>> encoder(torch.tensor([[1.0, 10.0], [3.0, 20.0]]), adjacency, nodes_within_hop=[2, 2, 2]).tolist()
    [[2.0, 15.0, 0.0], [2.0, 15.0, 0.0]]
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        batch_norm_momentum: float = 0.1,
        latent_activation: str = "linear",
        residual: bool = False,
        attention: bool = False,
    ):
        super().__init__()
        n_layers = len(widths) - 1
        self.n_latent = widths[-1]
        self.residual = residual
        self.average = NeighbourhoodSum()
        normalised = [i < n_layers - 1 or latent_activation == "relu" for i in range(n_layers)]
        layer = GraphAttention if attention else GraphConvolution
        self.convolutions = nn.ModuleList(
            layer(widths[i], widths[i + 1], bias=not normalised[i]) for i in range(n_layers)
        )
        self.norms = nn.ModuleList(
            SeedBatchNorm(width, momentum=batch_norm_momentum)
            for width, norm in zip(widths[1:], normalised, strict=True)
            if norm
        )
        if residual:
            nn.init.zeros_(cast(GraphConvolution | GraphAttention, self.convolutions[-1]).weight)

    def forward(
        self, x: Tensor, adjacency: Tensor, nodes_within_hop: Sequence[int], feature_mask: Tensor | None = None
    ) -> Tensor:
        """Encode.

        Parameters
        ----------
        x
            Features of all nodes: seed spots first, then the other nodes by their distance in hops.
            ``(n_nodes, n_input)``.
        adjacency
            Normalised adjacency as a sparse CSR tensor, with a row for every node inside the outermost hop.
        nodes_within_hop
            Number of nodes within 0, 1, ... hops of the seed spots; one more entry than there are layers. All entries
            are equal for the full graph.
        feature_mask
            0 for hidden features, 1 for the others. ``(n_input,)``.

        Returns
        -------
        Latent representation of the seed spots. ``(n_seeds, n_latent)``.
        """
        outermost_first = reversed(list(pairwise(nodes_within_hop)))
        adjacencies = [leading_rows(adjacency, n_targets, n_sources) for n_targets, n_sources in outermost_first]
        hidden, smoothed = x, None
        if self.residual:
            averaged = self.average(x, adjacencies[0])
            smoothed = self._smooth(averaged, adjacencies[1:], feature_mask)
        for i, convolution in enumerate(self.convolutions):
            mask = feature_mask if i == 0 else None
            if i == 0 and self.residual and isinstance(convolution, GraphConvolution):
                # This sum is also the input of the first convolution, so it is computed once for both.
                hidden = convolution.transform(averaged, mask)
            else:
                hidden = convolution(hidden, adjacencies[i], mask)
            if i < len(self.norms):
                hidden = relu(self.norms[i](hidden, nodes_within_hop[0]))
        return hidden if smoothed is None else hidden + smoothed

    def _smooth(self, averaged: Tensor, adjacencies: Sequence[Tensor], feature_mask: Tensor | None) -> Tensor:
        """Leading features of the seed spots, averaged over the remaining hops. ``(n_seeds, n_latent)``."""
        width = min(self.n_latent, averaged.shape[1])
        smoothed = averaged[:, :width] if feature_mask is None else averaged[:, :width] * feature_mask[:width]
        for adjacency in adjacencies:
            smoothed = self.average(smoothed, adjacency)
        return pad(smoothed, (0, self.n_latent - width))


class Decoder(nn.Module):
    """Network with one hidden layer from the latent representation of each spot to its features.

    Parameters
    ----------
    n_latent, n_hidden, n_output
        Number of latent dimensions, of hidden units and of features.
    batch_norm_momentum
        Weight of the newest batch in the running statistics, as in PyTorch.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> decoder = nn.Decoder(n_latent=4, n_hidden=16, n_output=50)
    >>> decoder(torch.zeros(10, 4)).shape
    torch.Size([10, 50])
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
        """Reconstruct the features.

        Parameters
        ----------
        latent
            Latent representation. ``(n_spots, n_latent)``.

        Returns
        -------
        Features. ``(n_spots, n_output)``.
        """
        return self.output(self.hidden(latent))
