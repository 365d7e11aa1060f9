"""Small operations on sparse CSR tensors."""

import torch
from torch import Tensor


def sparse_csr(crow_indices: Tensor, col_indices: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    """Sparse CSR tensor without the costly check of indices that the caller already knows to be valid."""
    return torch.sparse_csr_tensor(crow_indices, col_indices, values, size=size, check_invariants=False)


def with_values(matrix: Tensor, values: Tensor) -> Tensor:
    """Sparse CSR tensor with other values at the same places."""
    return sparse_csr(matrix.crow_indices(), matrix.col_indices(), values, (matrix.shape[0], matrix.shape[1]))


def leading_rows(matrix: Tensor, n_rows: int, n_columns: int) -> Tensor:
    """First rows of a sparse CSR tensor, all of whose stored columns lie before ``n_columns``. No value is copied."""
    if matrix.shape == (n_rows, n_columns):
        return matrix
    crow_indices = matrix.crow_indices()[: n_rows + 1]
    n_stored = int(crow_indices[-1])
    return sparse_csr(crow_indices, matrix.col_indices()[:n_stored], matrix.values()[:n_stored], (n_rows, n_columns))


def row_index(matrix: Tensor) -> Tensor:
    """Row of each stored value of a sparse CSR tensor. ``(n_stored,)``."""
    counts = matrix.crow_indices().diff()
    return torch.arange(matrix.shape[0], device=counts.device).repeat_interleave(counts)
