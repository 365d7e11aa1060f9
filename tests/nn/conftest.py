"""Sparse matrices as the encoders and losses take them."""

import torch
from scipy import sparse


def csr_tensor(matrix: sparse.csr_matrix) -> torch.Tensor:
    parts = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=True)
