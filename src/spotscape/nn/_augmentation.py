"""Random views of a tissue: dropped edges and hidden features."""

import torch
from torch import Tensor

from spotscape.nn._random import hash_integers, is_below, scramble
from spotscape.nn._sparse import with_values


def drop_edges(adjacency: Tensor, drop_rate: float, key: int, nodes: Tensor) -> Tensor:
    r"""Drop each directed edge with probability :math:`p` and scale the remaining edges by :math:`1 / (1 - p)`.

    The scaling keeps the expected value of every neighbourhood sum equal to that of the full graph. Whether an edge is
    dropped depends only on the key and on the two spots, so it is the same in every batch, row order and process.

    Parameters
    ----------
    adjacency
        Normalised adjacency as a sparse CSR tensor. ``(n_targets, n_sources)``. It is not modified.
    drop_rate
        Probability :math:`p`, in ``[0, 1)``.
    key
        Random key of the seed, the training step and the view, see :func:`random_key`.
    nodes
        Index of each node in the full data set, targets first. ``(n_sources,)``.

    Returns
    -------
    Sparse CSR tensor with the sparsity pattern of ``adjacency``; dropped edges are stored as zeros.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> adjacency = torch.full((3, 3), 0.5).to_sparse_csr()
    >>> key = nn.random_key(seed=0, step=1, stream=0)
    >>> nn.drop_edges(adjacency, drop_rate=0.5, key=key, nodes=torch.arange(3)).to_dense()
    tensor([[1., 1., 0.],
            [1., 1., 1.],
            [1., 0., 0.]])
    """
    if drop_rate == 0:
        return adjacency
    target_hashes = hash_integers(nodes[: adjacency.shape[0]], 2 * key)
    source_hashes = hash_integers(nodes, 2 * key + 1)
    edge_hashes = target_hashes.repeat_interleave(adjacency.crow_indices().diff())
    edge_hashes += source_hashes[adjacency.col_indices()]
    # Sums of two hashes are not independent: of the four edges between two pairs of spots, three determine the fourth.
    edge_hashes ^= edge_hashes >> 29
    dropped = is_below(scramble(edge_hashes), drop_rate)
    return with_values(adjacency, (adjacency.values() / (1 - drop_rate)).masked_fill_(dropped, 0))


def draw_feature_mask(n_features: int, drop_rate: float, generator: torch.Generator) -> Tensor | None:
    """Draw a mask that hides each feature of a view with probability ``drop_rate``.

    As in the published method, a feature is hidden in all spots at once and the other features are not rescaled.

    Parameters
    ----------
    n_features
        Number of features.
    drop_rate
        Probability that a feature is hidden, in ``[0, 1)``.
    generator
        Random number generator. The mask is created on its device.

    Returns
    -------
    Mask with 0 for hidden and 1 for visible features, ``(n_features,)``, or ``None`` if ``drop_rate`` is 0.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> mask = nn.draw_feature_mask(10_000, drop_rate=0.2, generator=torch.Generator().manual_seed(0))
    >>> mask.unique()
    tensor([0., 1.])
    >>> round(mask.mean().item(), 1)
    0.8
    """
    if drop_rate == 0:
        return None
    return (torch.rand(n_features, generator=generator, device=generator.device) >= drop_rate).float()
