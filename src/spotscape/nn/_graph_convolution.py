"""Graph convolutions, whose weights are those of the graph."""

import torch
from torch import Tensor, nn
from torch_geometric.nn import SimpleConv

from spotscape.nn._sparse import sparse_product


class NeighbourhoodSum(nn.Module):
    r"""Weighted sum over the neighbours of each spot, :math:`\hat{A} X`, always in single precision.

    CPUs have no sparse matrix products in half precision, and half precision would not make this sum faster.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> adjacency = torch.tensor([[0.5, 0.5], [0.0, 1.0]]).to_sparse_csr()
    >>> nn.NeighbourhoodSum()(torch.tensor([[1.0], [3.0]]), adjacency)
    tensor([[2.],
            [3.]])
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolve = SimpleConv(aggr="sum")

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Sum over neighbours.

        Parameters
        ----------
        x
            Features. ``(n_sources, n_features)``.
        adjacency
            Weights of the neighbours as a sparse CSR tensor. ``(n_targets, n_sources)``.

        Returns
        -------
        Weighted sums. ``(n_targets, n_features)``.
        """
        with torch.autocast(x.device.type, enabled=False):
            return self.convolve((x.to(adjacency.dtype), None), adjacency)


class GraphConvolution(nn.Module):
    r"""Graph convolution with a normalised adjacency :cite:p:`Kipf2017`.

    .. math::

        H = \hat{A} (m \odot X) W

    Since :math:`\hat{A} (X W) = (\hat{A} X) W`, neighbours are summed on the side with fewer features. Since hiding
    columns of :math:`X` is the same as hiding rows of :math:`W`, the features are never copied and may be sparse.

    Parameters
    ----------
    n_input
        Number of input features.
    n_output
        Number of output features.
    bias
        Whether to add a bias. It has no effect before batch normalisation.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> layer = nn.GraphConvolution(n_input=3, n_output=2)
    >>> adjacency = torch.full((4, 4), 0.25).to_sparse_csr()
    >>> layer(torch.ones(4, 3), adjacency).shape
    torch.Size([4, 2])
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
            :math:`m`: 0 for hidden features, 1 for the others. ``(n_input,)``.

        Returns
        -------
        ``(n_targets, n_output)``.
        """
        if x.layout == torch.strided and x.shape[1] <= self.weight.shape[1]:
            return self.transform(self.aggregate(x, adjacency), feature_mask)
        weight = self._masked_weight(feature_mask)
        product = x @ weight if x.layout == torch.strided else sparse_product(x, weight)
        return self._add_bias(self.aggregate(product, adjacency))

    def transform(self, aggregated: Tensor, feature_mask: Tensor | None = None) -> Tensor:
        """Apply the second half of the convolution to features that are already summed over neighbours.

        Parameters
        ----------
        aggregated
            Weighted sums over the neighbours of each spot. ``(n_targets, n_input)``.
        feature_mask
            :math:`m`: 0 for hidden features, 1 for the others. ``(n_input,)``.

        Returns
        -------
        ``(n_targets, n_output)``.
        """
        return self._add_bias(aggregated @ self._masked_weight(feature_mask))

    def _masked_weight(self, feature_mask: Tensor | None) -> Tensor:
        return self.weight if feature_mask is None else feature_mask[:, None] * self.weight

    def _add_bias(self, hidden: Tensor) -> Tensor:
        return hidden if self.bias is None else hidden + self.bias
