"""Small operations on sparse CSR tensors."""

from typing import Any

import torch
from torch import Tensor


def sparse_csr(crow_indices: Tensor, col_indices: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    """Build a sparse CSR tensor without PyTorch's costly check of the indices.

    Parameters
    ----------
    crow_indices
        Start of each row in the stored values. ``(n_rows + 1,)``. Must be valid.
    col_indices
        Column of each stored value. ``(n_stored,)``. Must be valid.
    values
        Stored values. ``(n_stored,)``.
    size
        Number of rows and columns.

    Returns
    -------
    Sparse CSR tensor that shares memory with the arguments.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> nn.sparse_csr(torch.tensor([0, 1, 2]), torch.tensor([2, 0]), torch.tensor([5.0, 7.0]), size=(2, 3)).to_dense()
    tensor([[0., 0., 5.],
            [7., 0., 0.]])
    """
    return torch.sparse_csr_tensor(crow_indices, col_indices, values, size=size, check_invariants=False)


def with_values(matrix: Tensor, values: Tensor) -> Tensor:
    """Sparse CSR tensor with the sparsity pattern of ``matrix`` and other values."""
    return sparse_csr(matrix.crow_indices(), matrix.col_indices(), values, (matrix.shape[0], matrix.shape[1]))


def leading_rows(matrix: Tensor, n_rows: int, n_columns: int) -> Tensor:
    """Leading block of a sparse CSR tensor, without copying its values.

    Parameters
    ----------
    matrix
        Sparse CSR tensor. Its first ``n_rows`` rows must have no stored value in or after column ``n_columns``.
    n_rows, n_columns
        Shape of the block.

    Returns
    -------
    Sparse CSR tensor. ``(n_rows, n_columns)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> matrix = torch.tensor([[1.0, 2.0, 0.0], [0.0, 3.0, 0.0], [4.0, 0.0, 5.0]]).to_sparse_csr()
    >>> nn.leading_rows(matrix, 2, 2).to_dense()
    tensor([[1., 2.],
            [0., 3.]])
    """
    if matrix.shape == (n_rows, n_columns):
        return matrix
    crow_indices = matrix.crow_indices()[: n_rows + 1]
    n_stored = int(crow_indices[-1])
    return sparse_csr(crow_indices, matrix.col_indices()[:n_stored], matrix.values()[:n_stored], (n_rows, n_columns))


def row_index(matrix: Tensor) -> Tensor:
    """Row of each stored value of a sparse CSR tensor. ``(n_stored,)``."""
    counts = matrix.crow_indices().diff()
    return torch.arange(matrix.shape[0], device=counts.device).repeat_interleave(counts)


def sparse_product(matrix: Tensor, dense: Tensor) -> Tensor:
    """Product of a constant sparse CSR tensor with a dense one.

    PyTorch sorts the stored values for the transposed product of each gradient. Here they are sorted once for each
    matrix, which is the same in all steps on a full graph.

    Parameters
    ----------
    matrix
        Sparse CSR tensor, which needs no gradient and must not change. ``(n_rows, n_columns)``.
    dense
        Dense tensor. ``(n_columns, n_outputs)``.

    Returns
    -------
    ``(n_rows, n_outputs)``.
    """
    with torch.autocast(dense.device.type, enabled=False):
        return _SparseProduct.apply(matrix, dense.to(matrix.dtype))


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, dense: Tensor) -> Tensor:
        ctx.matrix = matrix
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, _transposed(ctx.matrix) @ gradients[0]


def _transposed(matrix: Tensor) -> Tensor:
    """Transpose in CSR format, kept with the matrix."""
    result = getattr(matrix, "_spotscape_transposed", None)
    if result is None:
        result = matrix.t().to_sparse_csr()
        matrix._spotscape_transposed = result  # type: ignore[attr-defined]
    return result
