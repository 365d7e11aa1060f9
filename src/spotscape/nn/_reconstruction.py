"""Squared reconstruction error, also for targets that stay sparse."""

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
    values = target.values()
    rows = row_index(target)
    squared_length = values.new_zeros(len(hidden)).index_add_(0, rows, values.square())
    along_hidden = ((target @ weight) * hidden).sum(dim=1)
    along_bias = (target @ bias[:, None]).squeeze(1)
    predicted = ((hidden @ (weight.T @ weight)) * hidden).sum(dim=1) + 2 * hidden @ (weight.T @ bias) + bias @ bias
    return (squared_length - 2 * (along_hidden + along_bias) + predicted) / target.shape[1]
