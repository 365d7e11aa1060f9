"""Graph convolutions with learnt weights of the neighbours."""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch_geometric.utils import softmax

from spotscape.nn._sparse import sparse_product

_SLOPE = 0.2
_SMALLEST = 1e-12


class GraphAttention(nn.Module):
    r"""Graph convolution that learns how much each spot takes from each neighbour :cite:p:`Velickovic2018`.

    .. math::

        h_i = \sum_j \alpha_{ij} W^\top (m \odot x_j), \qquad
        \alpha_{ij} = \frac{\hat{A}_{ij} e^{s_{ij}}}{\sum_k \hat{A}_{ik} e^{s_{ik}}}, \qquad
        s_{ij} = \text{LeakyReLU}\left(a^\top W^\top x_i + b^\top W^\top x_j\right)

    There is one head. The weights of the graph multiply the attention, so that dropped edges receive none and given
    weights are kept. A spot without any edge receives zeros.

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
    >>> layer = nn.GraphAttention(n_input=3, n_output=2)
    >>> adjacency = torch.full((4, 4), 0.25).to_sparse_csr()
    >>> layer(torch.ones(4, 3), adjacency).shape
    torch.Size([4, 2])
    """

    def __init__(self, n_input: int, n_output: int, *, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_input, n_output))
        self.of_target = nn.Parameter(torch.empty(n_output, 1))
        self.of_source = nn.Parameter(torch.empty(n_output, 1))
        self.bias = nn.Parameter(torch.zeros(n_output)) if bias else None
        for parameter in (self.weight, self.of_target, self.of_source):
            nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor, adjacency: Tensor, feature_mask: Tensor | None = None) -> Tensor:
        """Convolve.

        Parameters
        ----------
        x
            Features, dense or sparse CSR; those of the targets first. ``(n_sources, n_input)``.
        adjacency
            Normalised adjacency as a sparse CSR tensor. ``(n_targets, n_sources)``.
        feature_mask
            :math:`m`: 0 for hidden features, 1 for the others. ``(n_input,)``.

        Returns
        -------
        ``(n_targets, n_output)``.
        """
        weight = self.weight if feature_mask is None else feature_mask[:, None] * self.weight
        hidden = (x @ weight if x.layout == torch.strided else sparse_product(x, weight)).float()
        n_targets, ends = adjacency.shape[0], adjacency.crow_indices().long()
        sources, given = adjacency.col_indices().long(), adjacency.values()
        targets = torch.arange(n_targets, device=x.device).repeat_interleave(ends.diff())
        scores = (hidden @ self.of_target)[targets, 0] + (hidden @ self.of_source)[sources, 0]
        scores = leaky_relu(scores, _SLOPE) + given.clamp(min=_SMALLEST).log()
        attention = softmax(scores, ptr=ends) * (given > 0)
        result = hidden.new_zeros(n_targets, hidden.shape[1])
        result = result.index_add(0, targets, attention[:, None] * hidden[sources])
        return result if self.bias is None else result + self.bias
