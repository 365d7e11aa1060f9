"""The comparison of code of the package with libraries."""

import numpy as np
from scipy import sparse

from benchmarks.scaling import libraries


def test_both_ways_compute_the_same(capsys):
    matrix = sparse.random(300, 20, 0.2, format="csr", dtype=np.float32, random_state=0)
    chunks = [libraries.dask.array.from_array(matrix[i : i + 100], asarray=False) for i in range(0, 300, 100)]
    ours, theirs = (
        libraries.gram_by_row_blocks(matrix),
        libraries.gram_by_dask(libraries.dask.array.concatenate(chunks)),
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    logged = np.log1p(matrix.toarray().astype(np.float64))
    np.testing.assert_allclose(ours, logged.T @ logged, rtol=1e-5)
    libraries.main(["--spots", "200", "--genes", "10"])
    assert "memory" in capsys.readouterr().out
