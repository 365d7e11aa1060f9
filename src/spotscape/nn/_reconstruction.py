"""Squared and cosine reconstruction error, also for targets that stay sparse."""

from torch import Tensor

from spotscape.nn._sparse import row_index


def reconstruction_loss(target: Tensor, prediction: Tensor) -> Tensor:
    r"""Squared error of each spot, averaged over its features.

    .. math::

        L_i = \frac{1}{G} \sum_g (x_{ig} - \hat{x}_{ig})^2

    Parameters
    ----------
    target
        Features. ``(n_spots, n_features)``, dense.
    prediction
        Their reconstruction, of the same shape.

    Returns
    -------
    Loss of each spot. ``(n_spots,)``.
    """
    return (target - prediction).square().mean(dim=1)


def sparse_reconstruction_loss(target: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    r"""The same error for a sparse target and a linear last layer, without the dense reconstruction.

    With :math:`\hat{x}_i = W h_i + c` the square is expanded, so that only a sparse-dense product and a small Gram
    matrix are needed and nothing of size ``n_spots`` x ``n_features`` is built:

    .. math::

        G L_i = \lVert x_i \rVert^2 - 2 \langle x_i, W h_i + c \rangle
                + h_i^\top W^\top W h_i + 2 \langle W^\top c, h_i \rangle + \lVert c \rVert^2

    Parameters
    ----------
    target
        Features as a sparse CSR tensor. ``(n_spots, n_features)``.
    hidden
        Input of the last layer. ``(n_spots, n_hidden)``.
    weight
        Weight of the last layer. ``(n_features, n_hidden)``.
    bias
        Bias of the last layer. ``(n_features,)``.

    Returns
    -------
    Loss of each spot. ``(n_spots,)``.
    """
    squared_length, along, predicted = sparse_products(target, hidden, weight, bias)
    return (squared_length - 2 * along + predicted) / target.shape[1]


def scaled_cosine_loss(target: Tensor, prediction: Tensor, *, gamma: float = 3.0) -> Tensor:
    r"""Cosine error of each spot, to a power that makes spots that are predicted well count less :cite:p:`Hou2022`.

    .. math::

        L_i = \left( 1 - \frac{x_i^\top \hat{x}_i}{\lVert x_i \rVert \, \lVert \hat{x}_i \rVert} \right)^\gamma

    Parameters
    ----------
    target
        Features. ``(n_spots, n_features)``, dense.
    prediction
        Their reconstruction, of the same shape.
    gamma
        Power, at least 1.

    Returns
    -------
    Loss of each spot. ``(n_spots,)``.
    """
    along = (target * prediction).sum(dim=1)
    return _cosine_error(target.square().sum(dim=1), along, prediction.square().sum(dim=1), gamma)


def sparse_scaled_cosine_loss(
    target: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, *, gamma: float = 3.0
) -> Tensor:
    """The same error for a sparse target and a linear last layer, without the dense reconstruction.

    Parameters
    ----------
    target, hidden, weight, bias
        As in :func:`sparse_reconstruction_loss`.
    gamma
        Power, at least 1.

    Returns
    -------
    Loss of each spot. ``(n_spots,)``.
    """
    return _cosine_error(*sparse_products(target, hidden, weight, bias), gamma)


def sparse_products(target: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared length of the target, product with its reconstruction, squared length of that. Each ``(n_spots,)``."""
    values = target.values()
    squared_length = values.new_zeros(len(hidden)).index_add_(0, row_index(target), values.square())
    along_hidden = ((target @ weight) * hidden).sum(dim=1)
    along_bias = (target @ bias[:, None]).squeeze(1)
    predicted = ((hidden @ (weight.T @ weight)) * hidden).sum(dim=1) + 2 * hidden @ (weight.T @ bias) + bias @ bias
    return squared_length, along_hidden + along_bias, predicted


def _cosine_error(squared_target: Tensor, along: Tensor, squared_prediction: Tensor, gamma: float) -> Tensor:
    # A spot without expression has no direction; its error is 1 whatever is predicted.
    lengths = (squared_target * squared_prediction).clamp(min=1e-16).sqrt()
    return (1 - along / lengths).clamp(min=0).pow(gamma)
