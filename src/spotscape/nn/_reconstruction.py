"""Squared and cosine reconstruction errors, with versions for sparse targets that never build the dense matrix."""

import torch
from torch import Tensor

from spotscape.nn._sparse import row_index, sparse_product


def reconstruction_loss(target: Tensor, prediction: Tensor) -> Tensor:
    r"""Squared error of each spot, averaged over its features.

    .. math::

        L_i = \frac{1}{G} \sum_g (x_{ig} - \hat{x}_{ig})^2

    Parameters
    ----------
    target
        Features. ``(n_spots, n_features)``, dense.
    prediction
        Reconstructed features. ``(n_spots, n_features)``.

    Returns
    -------
    Loss of each spot. ``(n_spots,)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> nn.reconstruction_loss(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), prediction=torch.zeros(2, 2))
    tensor([0.5000, 2.0000])
    """
    return (target - prediction).square().mean(dim=1)


def sparse_reconstruction_loss(target: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    r"""Compute :func:`reconstruction_loss` for a sparse target and a linear last layer without a dense reconstruction.

    With :math:`\hat{x}_i = W h_i + c` the square is expanded,

    .. math::

        G L_i = \lVert x_i \rVert^2 - 2 \langle x_i, W h_i + c \rangle
                + h_i^\top W^\top W h_i + 2 \langle W^\top c, h_i \rangle + \lVert c \rVert^2 .

    This needs only a sparse-dense product and a small Gram matrix, and no matrix of ``n_spots`` x ``n_features``.

    Parameters
    ----------
    target
        Features as a sparse CSR tensor. ``(n_spots, n_features)``.
    hidden
        Input :math:`h` of the last layer. ``(n_spots, n_hidden)``, or ``(n_views, n_spots, n_hidden)`` of several views
        with the same target.
    weight
        Weight :math:`W` of the last layer. ``(n_features, n_hidden)``.
    bias
        Bias :math:`c` of the last layer. ``(n_features,)``.

    Returns
    -------
    Loss of each spot. ``(n_spots,)``, or ``(n_views, n_spots)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> target, hidden = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0], [2.0]])
    >>> weight, bias = torch.tensor([[1.0], [0.5]]), torch.zeros(2)
    >>> nn.sparse_reconstruction_loss(target.to_sparse_csr(), hidden, weight, bias)
    tensor([0.1250, 2.5000])
    >>> nn.reconstruction_loss(target, hidden @ weight.T + bias)
    tensor([0.1250, 2.5000])
    """
    squared_target, product, squared_prediction = _norms_and_product(target, hidden, weight, bias)
    return (squared_target - 2 * product + squared_prediction) / target.shape[1]


def scaled_cosine_loss(target: Tensor, prediction: Tensor, *, gamma: float = 3.0) -> Tensor:
    r"""Cosine error of each spot, raised to a power that down-weights spots that are predicted well :cite:p:`Hou2022`.

    .. math::

        L_i = \left( 1 - \frac{x_i^\top \hat{x}_i}{\lVert x_i \rVert \, \lVert \hat{x}_i \rVert} \right)^\gamma

    Parameters
    ----------
    target
        Features. ``(n_spots, n_features)``, dense.
    prediction
        Reconstructed features. ``(n_spots, n_features)``.
    gamma
        Power :math:`\gamma`, at least 1.

    Returns
    -------
    Loss of each spot. ``(n_spots,)``. It is 1 for a spot without expression.

    Examples
    --------
    The same direction, an orthogonal one and the opposite one:

    >>> import torch
    >>> from spotscape import nn
    >>> target = torch.tensor([[1.0, 0.0]]).expand(3, 2)
    >>> nn.scaled_cosine_loss(target, prediction=torch.tensor([[5.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    tensor([0., 1., 8.])
    """
    product = (target * prediction).sum(dim=1)
    return _cosine_error(target.square().sum(dim=1), product, prediction.square().sum(dim=1), gamma)


def sparse_scaled_cosine_loss(
    target: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, *, gamma: float = 3.0
) -> Tensor:
    """Compute :func:`scaled_cosine_loss` for a sparse target and a linear last layer without a dense reconstruction.

    Parameters
    ----------
    target, hidden, weight, bias
        As in :func:`sparse_reconstruction_loss`.
    gamma
        Power, at least 1.

    Returns
    -------
    Loss of each spot. ``(n_spots,)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> target, hidden = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0], [2.0]])
    >>> weight, bias = torch.tensor([[1.0], [0.0]]), torch.zeros(2)
    >>> nn.sparse_scaled_cosine_loss(target.to_sparse_csr(), hidden, weight, bias)
    tensor([0., 1.])
    """
    return _cosine_error(*_norms_and_product(target, hidden, weight, bias), gamma)


def _norms_and_product(target: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared norm of the target, its inner product with the prediction, and squared norm of that, of each spot."""
    values = target.values()
    squared_target = values.new_zeros(target.shape[0]).index_add_(0, row_index(target), values.square())
    mapped = sparse_product(target, torch.cat([weight, bias[:, None]], dim=1))
    product = (mapped[:, :-1] * hidden).sum(dim=-1) + mapped[:, -1]
    squared_prediction = (
        ((hidden @ (weight.T @ weight)) * hidden).sum(dim=-1) + 2 * hidden @ (weight.T @ bias) + bias @ bias
    )
    return squared_target, product, squared_prediction


def _cosine_error(squared_target: Tensor, product: Tensor, squared_prediction: Tensor, gamma: float) -> Tensor:
    # A spot without expression has no direction: the lower bound makes its error 1 for every prediction.
    norms = (squared_target * squared_prediction).clamp(min=1e-16).sqrt()
    # The norm of a prediction whose terms cancel is lost in rounding, which must not take the cosine out of its range.
    return (1 - product / norms).clamp(min=0, max=2).pow(gamma)
