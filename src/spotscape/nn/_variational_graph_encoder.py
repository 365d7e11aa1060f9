"""The two encoders of SEDR: one for the expression of each spot, and one for the graph on top of it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, relu

from spotscape.nn._batch_norm import SeedBatchNorm
from spotscape.nn._graph_convolution import GraphConvolution
from spotscape.nn._masking import drop_out, mask_spots
from spotscape.nn._sparse import leading_rows, sparse_product


class FeatureEncoder(nn.Module):
    """Two blocks of linear map, batch normalisation, ELU and dropout for the features of each spot :cite:p:`Xu2024`.

    Parameters
    ----------
    n_input, n_hidden, n_output
        Number of features, of hidden units and of output dimensions.
    dropout_rate
        Dropout probability in training.
    batch_norm_momentum
        Weight of the newest batch in the running statistics, as in PyTorch.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> encoder = nn.FeatureEncoder(n_input=50, n_hidden=16, n_output=4)
    >>> mask = torch.arange(10) < 8
    >>> encoder(torch.ones(10, 50), n_seeds=10, mask=mask).shape
    torch.Size([10, 4])
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
        # Batch normalisation already has a bias.
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
            Features, seed spots first, dense or sparse CSR. ``(n_nodes, n_input)``.
        n_seeds
            Number of seed spots, from which batch normalisation computes its statistics in training.
        mask
            Spots whose features are replaced by the token, see :func:`mask_spots`. ``(n_nodes,)``. ``None``: no spot.
        additive
            Whether the token is added to the features instead of replacing them.
        generator
            Random number generator of the dropout. ``None``: no dropout.

        Returns
        -------
        Encoded features. ``(n_nodes, n_output)``.
        """
        weight = cast(nn.Linear, self.maps[0]).weight.T
        hidden = x @ weight if x.layout == torch.strided else sparse_product(x, weight)
        if mask is not None:
            hidden = mask_spots(hidden, self.token @ weight, mask, additive=additive)
        hidden = drop_out(elu(self.norms[0](hidden, n_seeds)), self.dropout_rate, generator)
        return drop_out(elu(self.norms[1](self.maps[1](hidden), n_seeds)), self.dropout_rate, generator)


class VariationalGraphEncoder(nn.Module):
    r"""Two graph convolutions to the mean and standard deviation of a normal distribution :cite:p:`Kipf2016`.

    .. math::

        H = \operatorname{ReLU}(\hat A X W_0), \qquad \mu = \hat A H W_\mu, \qquad \log \sigma = \hat A H W_\sigma

    Parameters
    ----------
    n_input, n_hidden, n_latent
        Number of input features, of hidden units and of latent dimensions.
    dropout_rate
        Dropout probability of the inputs of the convolutions in training.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> encoder = nn.VariationalGraphEncoder(n_input=8, n_hidden=16, n_latent=4)
    >>> adjacency = torch.full((10, 10), 0.1).to_sparse_csr()
    >>> mean, log_deviation = encoder(torch.ones(10, 8), adjacency, nodes_within_hop=[10, 10, 10])
    >>> mean.shape, log_deviation.shape
    (torch.Size([10, 4]), torch.Size([10, 4]))
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
            Normalised adjacency as a sparse CSR tensor, with a row for each node within one hop.
        nodes_within_hop
            Number of nodes to encode, and of nodes within one and two hops of them. Three entries.
        generator
            Random number generator of the dropout. ``None``: no dropout.

        Returns
        -------
        Mean and logarithm of the standard deviation. Each is ``(nodes_within_hop[0], n_latent)``.
        """
        inner, outer = (leading_rows(adjacency, *sizes) for sizes in pairwise(nodes_within_hop))
        hidden = relu(self.hidden(drop_out(x, self.dropout_rate, generator), outer))
        hidden = drop_out(hidden, self.dropout_rate, generator)
        return self.mean(hidden, inner), self.log_deviation(hidden, inner)


def kl_divergence(mean: Tensor, log_deviation: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence of the normal distribution of each spot from the standard normal distribution.

    .. math:: D_i = \frac{1}{2} \sum_j \left( \mu_{ij}^2 + \sigma_{ij}^2 - 1 - 2 \log \sigma_{ij} \right)

    The mean of :math:`D_i` over the spots does not depend on their number. The released code divides this mean by the
    number of spots a second time, which makes the term negligible.

    Parameters
    ----------
    mean, log_deviation
        Mean :math:`\mu` and logarithm of the standard deviation :math:`\sigma`. Each is ``(n_spots, n_latent)``.

    Returns
    -------
    Divergence of each spot. ``(n_spots,)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> nn.kl_divergence(mean=torch.tensor([[0.0], [2.0]]), log_deviation=torch.zeros(2, 1))
    tensor([0., 2.])
    """
    return 0.5 * (mean.square() + (2 * log_deviation).exp() - 1 - 2 * log_deviation).sum(dim=1)
