"""The two encoders of SEDR: of each spot's expression, and of the graph on top of it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, relu

from spotscape.nn._batch_norm import SeedBatchNorm
from spotscape.nn._graph_encoder import GraphConvolution
from spotscape.nn._masking import drop_out, mask_spots
from spotscape.nn._sparse import leading_rows


class FeatureEncoder(nn.Module):
    """Two blocks of linear map, batch normalisation, ELU and dropout, spot by spot :cite:p:`Xu2024`.

    Parameters
    ----------
    n_input, n_hidden, n_output
        Widths.
    dropout_rate
        Probability that a value is dropped in training.
    batch_norm_momentum
        Weight of the newest batch in the running statistics, in PyTorch's sense.
    """

    def __init__(
        self,
        n_input: int,
        n_hidden: int,
        n_output: int,
        *,
        dropout_rate: float = 0.0,
        batch_norm_momentum: float = 0.1,
    ):
        super().__init__()
        widths = (n_input, n_hidden, n_output)
        self.dropout_rate = dropout_rate
        # Batch normalisation has a bias already.
        self.maps = nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in pairwise(widths))
        self.norms = nn.ModuleList(SeedBatchNorm(width, eps=1e-3, momentum=batch_norm_momentum) for width in widths[1:])
        self.token = nn.Parameter(torch.zeros(n_input))

    def forward(
        self,
        x: Tensor,
        n_seeds: int,
        *,
        mask: Tensor | None = None,
        additive: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Encode.

        Parameters
        ----------
        x
            Features, seeds first, dense or sparse CSR. ``(n_nodes, n_input)``.
        n_seeds
            Number of seeds, of which the moments of batch normalisation are in training.
        mask
            Spots in whose place the encoder sees the token, see :func:`mask_spots`. ``(n_nodes,)``.
        additive
            Whether the token is added in place of replacing.
        generator
            Source of the dropout; ``None`` for none.

        Returns
        -------
        ``(n_nodes, n_output)``.
        """
        weight = cast(nn.Linear, self.maps[0]).weight.T
        hidden = x @ weight
        if mask is not None:
            hidden = mask_spots(hidden, self.token @ weight, mask, additive=additive)
        hidden = drop_out(elu(self.norms[0](hidden, n_seeds)), self.dropout_rate, generator)
        return drop_out(elu(self.norms[1](self.maps[1](hidden), n_seeds)), self.dropout_rate, generator)


class VariationalGraphEncoder(nn.Module):
    r"""Two graph convolutions to the mean and the spread of a normal distribution :cite:p:`Kipf2016`.

    .. math::

        H = \operatorname{ReLU}(\hat A X W_0), \qquad \mu = \hat A H W_\mu, \qquad \log \sigma = \hat A H W_\sigma

    Parameters
    ----------
    n_input, n_hidden, n_latent
        Widths.
    dropout_rate
        Probability that an input of a convolution is dropped in training.
    """

    def __init__(self, n_input: int, n_hidden: int, n_latent: int, *, dropout_rate: float = 0.0):
        super().__init__()
        self.dropout_rate = dropout_rate
        self.hidden = GraphConvolution(n_input, n_hidden, bias=False)
        self.mean = GraphConvolution(n_hidden, n_latent, bias=False)
        self.log_deviation = GraphConvolution(n_hidden, n_latent, bias=False)

    def forward(
        self,
        x: Tensor,
        adjacency: Tensor,
        nodes_within_hop: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Encode.

        Parameters
        ----------
        x
            Encoded features of all nodes. ``(n_nodes, n_input)``.
        adjacency
            Normalised adjacency as a sparse CSR tensor, with a row for each node that is convolved.
        nodes_within_hop
            Number of spots wanted, and of nodes at most one and two hops from them. Three entries.
        generator
            Source of the dropout; ``None`` for none.

        Returns
        -------
        Mean and logarithm of the standard deviation, each ``(n_wanted, n_latent)``.
        """
        inner, outer = (leading_rows(adjacency, *sizes) for sizes in pairwise(nodes_within_hop))
        hidden = relu(self.hidden(drop_out(x, self.dropout_rate, generator), outer))
        hidden = drop_out(hidden, self.dropout_rate, generator)
        return self.mean(hidden, inner), self.log_deviation(hidden, inner)


def kl_divergence(mean: Tensor, log_deviation: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence of each spot's normal distribution from the standard one.

    .. math:: D_i = \frac{1}{2} \sum_j \left( \mu_{ij}^2 + \sigma_{ij}^2 - 1 - 2 \log \sigma_{ij} \right)

    Parameters
    ----------
    mean, log_deviation
        Mean and logarithm of the standard deviation. Each is ``(n_spots, n_latent)``.

    Returns
    -------
    ``(n_spots,)``. Its mean over spots does not depend on their number; the released code divides that by the number of
    spots once more, which leaves nothing of it.
    """
    return 0.5 * (mean.square() + (2 * log_deviation).exp() - 1 - 2 * log_deviation).sum(dim=1)
