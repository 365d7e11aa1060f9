"""Time of code of the package relative to the library that does the same, in one run.

    python -m benchmarks.scaling.libraries [--spots 20000] [--genes 2000] [--density 0.1]

Row blocks against dask: the Gram matrix of log expression, read from a CSR matrix in memory and from a file.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anndata
import dask.array
import numpy as np
import pandas as pd
from anndata.experimental import read_elem_lazy
from numpy.typing import NDArray
from scipy import sparse

from spotscape.preprocessing._row_blocks import row_blocks


def gram_by_row_blocks(matrix: object) -> NDArray[np.float64]:
    """``Y.T @ Y`` of the log expression by the row blocks of the package."""
    blocks = row_blocks(matrix)
    total = np.zeros((blocks.shape[1],) * 2)
    for _, part in blocks.map(lambda _, block: _gram(block)):
        total += part
    return total


def gram_by_dask(matrix: dask.array.Array) -> NDArray[np.float64]:
    """The same by ``map_blocks`` of dask, with the chunks that the array has."""
    n_genes = matrix.shape[1]
    parts = matrix.map_blocks(
        lambda block: _gram(sparse.csr_matrix(block))[None],
        chunks=((1,) * len(matrix.chunks[0]), (n_genes,), (n_genes,)),
        new_axis=2,
        dtype=np.float64,
        meta=np.empty((0, 0, 0)),
    )
    return parts.sum(axis=0).compute(scheduler="threads")


def compare(n_spots: int, n_genes: int, density: float, *, n_repeats: int = 3, seed: int = 0) -> pd.DataFrame:
    """Smallest time of each way, in seconds, and that of the package relative to dask."""
    matrix = sparse.random(n_spots, n_genes, density, format="csr", dtype=np.float32, random_state=seed)
    chunk = max(1, (1 << 20) // max(1, int(n_genes * density)))
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "expression.h5ad"
        anndata.AnnData(matrix).write_h5ad(path)
        backed = anndata.read_h5ad(path, backed="r")
        pieces = [dask.array.from_array(matrix[i : i + chunk], asarray=False) for i in range(0, n_spots, chunk)]
        in_memory = dask.array.concatenate(pieces)
        in_file = read_elem_lazy(backed.file._file["X"], chunks=(chunk, n_genes))
        for name, ours, theirs in (("memory", matrix, in_memory), ("file", backed.X, in_file)):
            seconds = _fastest([lambda x=ours: gram_by_row_blocks(x), lambda x=theirs: gram_by_dask(x)], n_repeats)
            rows[name] = (*seconds, seconds[0] / seconds[1])
        backed.file.close()
    return pd.DataFrame.from_dict(rows, orient="index", columns=["row blocks (s)", "dask (s)", "ratio"])


def _gram(block: sparse.csr_matrix) -> NDArray[np.float64]:
    dense = np.log1p(block.toarray())
    return (dense.T @ dense).astype(np.float64)


def _fastest(calls: Sequence[Callable[[], object]], n_repeats: int) -> list[float]:
    """Smallest time of each call; the calls take turns, so that all meet the same machine."""
    seconds = np.full((n_repeats, len(calls)), np.inf)
    for repeat in range(n_repeats):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            seconds[repeat, i] = time.perf_counter() - start
    return seconds.min(axis=0).tolist()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--density", type=float, default=0.1)
    given = parser.parse_args(arguments)
    print(compare(given.spots, given.genes, given.density).round(2).to_string())


if __name__ == "__main__":
    main()
