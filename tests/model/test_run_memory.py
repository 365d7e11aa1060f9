"""Peak memory of ``spotscape run --lazy``: it grows linearly with the number of bins, and slowly."""

import os
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from anndata.io import write_elem
from scipy import sparse

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read as Linux counts it"),
]

N_GENES = 4000
#: Peak memory of a process in bytes.
MEASURE = """
    import resource, sys
    from spotscape._cli import main
    code = main(sys.argv[1:])
    print("peak", code, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def write_bins(path, n_bins):
    """Square bins of stripes with genes of their own, written block by block."""
    rng = np.random.default_rng(0)
    row, column = np.divmod(np.arange(n_bins), int(np.sqrt(n_bins)))
    domains = (column * 4 // (column.max() + 1)).astype(int)
    rates = rng.lognormal(0, 1.5, (1, N_GENES)) * rng.choice([1, 6], (4, N_GENES), p=[0.95, 0.05])
    cumulative = np.cumsum(rates, axis=1) / rates.sum(axis=1, keepdims=True)
    obs = pd.DataFrame(index=[f"bin_{number}" for number in range(n_bins)])
    var = pd.DataFrame(index=[f"gene_{number}" for number in range(N_GENES)])
    with h5py.File(path, "w") as file:
        write_elem(file, "/", AnnData(obs=obs, var=var, obsm={"spatial": 8.0 * np.c_[column, row]}))
        file.pop("X", None)
        matrix = file.create_group("X")
        matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (n_bins, N_GENES)})
        for name, kind in (("data", "f4"), ("indices", "i4")):
            matrix.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(65536,))
        ends = [np.zeros(1, dtype=np.int64)]
        for start in range(0, n_bins, 5000):
            inside = np.repeat(np.arange(start, min(start + 5000, n_bins)), 60)
            genes = np.empty(len(inside), dtype=np.int64)
            for domain in range(4):
                own = domains[inside] == domain
                genes[own] = np.searchsorted(cumulative[domain], rng.uniform(size=own.sum()))
            shape = (min(5000, n_bins - start), N_GENES)
            place = (inside - start, np.minimum(genes, N_GENES - 1))
            block = sparse.csr_matrix((np.ones(len(inside), np.float32), place), shape)
            block.sum_duplicates()
            for name in ("data", "indices"):
                matrix[name].resize(len(matrix[name]) + block.nnz, axis=0)
                matrix[name][-block.nnz :] = getattr(block, name)
            ends.append(ends[-1][-1] + block.indptr[1:].astype(np.int64))
        matrix.create_dataset("indptr", data=np.concatenate(ends))


def peak_memory(folder, n_bins):
    write_bins(folder / f"{n_bins}.h5ad", n_bins)
    arguments = ["run", str(folder / f"{n_bins}.h5ad"), "--out", str(folder / f"out_{n_bins}"), "--lazy", "--quiet"]
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURE), *arguments, "--max-epochs", "2"],
        capture_output=True,
        text=True,
        env=os.environ | {"MPLBACKEND": "Agg"},
        timeout=3000,
    )
    _, code, peak = found.stdout.split()[-3:]
    assert code == "0", found.stderr
    return int(peak)


def test_memory_grows_linearly_with_the_number_of_bins(tmp_path):
    sizes = (10_000, 20_000, 40_000)
    peaks = [peak_memory(tmp_path, n_bins) for n_bins in sizes]
    print("peak memory in MB", dict(zip(sizes, (round(peak / 1e6) for peak in peaks), strict=True)))
    growth = np.diff(peaks) / np.diff(sizes)
    # 8 GiB for 600,000 bins of 18,000 genes allow 14 kB a bin; these have fewer counts.
    assert growth.max() < 10_000
    # Twice as many bins need at most twice as much, beyond what the libraries take.
    assert growth[1] < 1.3 * max(growth[0], 2000)
