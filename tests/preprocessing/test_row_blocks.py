import subprocess
import sys

import anndata
import dask.array as da
import numpy as np
import pytest
from scipy import sparse

from spotscape.preprocessing import _row_blocks as row_blocks_module
from spotscape.preprocessing import recognise_values
from spotscape.preprocessing._row_blocks import row_blocks
from spotscape.preprocessing._values import check_values, summarize_values


def simulate(n_spots=50, n_genes=12, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.5, 1, (n_spots, n_genes))).astype(np.float32)
    counts[[3, 20, 21]] = 0
    return sparse.csr_matrix(counts)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(row_blocks_module, "_VALUES_IN_BLOCK", 40)
    monkeypatch.setattr(row_blocks_module, "_VALUES_OF_A_SPOT", 1)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The same counts in every way they can be kept."""
    counts, folder = simulate(), tmp_path_factory.mktemp("kept")

    def backed(name, matrix):
        anndata.AnnData(matrix).write_h5ad(folder / name)
        return anndata.read_h5ad(folder / name, backed="r").X

    chunks = da.from_array(counts.toarray(), chunks=((7, 20, 23), (12,)))
    return {
        "csr": counts,
        "csc": counts.tocsc(),
        "array": sparse.csr_array(counts),
        "dense": counts.toarray(),
        "integers": counts.toarray().astype(np.int32),
        "dask": chunks.map_blocks(sparse.csr_matrix, dtype=counts.dtype),
        "dask of numpy": chunks,
        "dask of small chunks": da.from_array(counts.toarray(), chunks=(1, 5)).map_blocks(
            sparse.csr_matrix, dtype=counts.dtype
        ),
        "backed": backed("sparse.h5ad", counts),
        "backed dense": backed("dense.h5ad", counts.toarray()),
    }


KINDS = [
    *("csr", "csc", "array", "dense", "integers"),
    *("dask", "dask of numpy", "dask of small chunks", "backed", "backed dense"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_the_rows_of_the_matrix(kept, kind):
    expected = simulate().toarray()
    rows = row_blocks(kept[kind])
    assert rows.shape == (50, 12) and rows.is_lazy == ("dask" in kind or "backed" in kind)
    reached = 0
    sizes = []
    for where, block in rows:
        assert where.start == reached and block.has_canonical_format and block.dtype == kept[kind].dtype
        np.testing.assert_array_equal(block.toarray(), expected[where])
        reached = where.stop
        sizes.append(block.shape[0])
    assert reached == 50 and len(sizes) >= 2
    doubled = rows.mapped(lambda where, block: block[:, :3] * (1 + where.start), 3)
    assert doubled.shape == (50, 3)
    for where, block in doubled:
        np.testing.assert_array_equal(block.toarray(), expected[where, :3] * (1 + where.start))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [[0], [49, 3, 17, 4, 3], np.arange(50), np.arange(50)[::-3]], ids=str)
def test_rows_are_read_in_the_order_asked_for(kept, kind, rows):
    found = row_blocks(kept[kind]).read(np.asarray(rows))
    assert found.format == "csr"
    np.testing.assert_array_equal(found.toarray(), simulate().toarray()[rows])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found_is_that_of_the_whole(kept, kind):
    expected = simulate().toarray()
    n_empty = (expected.sum(1) == 0).sum()
    with pytest.warns(UserWarning, match=f"{n_empty} of 50 spots have no expression"):
        assert check_values(kept[kind]) == "counts"
    np.testing.assert_array_equal(summarize_values(kept[kind]).totals, expected.sum(1))
    assert recognise_values(kept[kind]) == "counts"


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("value", "message"),
    [(-1, "2 negative value.*row 33, column 5"), (np.nan, "2 missing.*row 33, column 5"), (np.inf, "2 inf.*row 33")],
)
def test_positions_are_those_in_the_whole_matrix(lazy, value, message):
    counts = simulate().toarray()
    counts[33, 5] = counts[47, 1] = value
    matrix = da.from_array(counts, chunks=(9, 12)) if lazy else sparse.csr_matrix(counts)
    with pytest.raises(ValueError, match=message):
        check_values(matrix)


def test_repeated_entries_are_summed_and_the_matrix_stays_as_it_is():
    counts = simulate()
    parts = (np.repeat(counts.data / 2, 2), np.repeat(counts.indices, 2), 2 * counts.indptr)
    halves = sparse.csr_matrix(parts, shape=counts.shape)
    for where, block in row_blocks(halves):
        np.testing.assert_array_equal(block.toarray(), counts[where].toarray())
    assert halves.nnz == 2 * counts.nnz


def test_chunks_are_read_once_in_a_pass_and_checked_once_in_a_life():
    counts, reads = simulate().toarray(), []

    def load(block_info=None):
        (start, stop), _ = block_info[None]["array-location"]
        reads.append(start)
        return sparse.csr_matrix(counts[start:stop])

    def lazily():
        meta = sparse.csr_matrix((0, 0), dtype=np.float32)
        return da.map_blocks(load, chunks=((10,) * 5, (12,)), dtype=np.float32, meta=meta)

    lazy = lazily()
    reads.clear()
    for _ in row_blocks(lazy):
        pass
    assert sorted(reads) == [0, 10, 20, 30, 40]
    with pytest.warns(UserWarning, match="no expression"):
        assert check_values(lazy) == recognise_values(lazy) == "counts"
    assert len(reads) == 10
    row_blocks(lazy).read(np.array([12, 19]))
    assert reads[10:] == [10]
    recognise_values(lazily())
    assert len(reads) == 16


def test_values_in_memory_are_looked_at_anew():
    counts = simulate()
    assert recognise_values(counts) == "counts"
    counts.data[:] = np.log1p(counts.data)
    assert recognise_values(counts) == "log-normalized"


GROWTH = """
import resource, sys
import dask.array as da
import numpy as np
from scipy import sparse
from spotscape.preprocessing import Preprocessor

n_genes = int(sys.argv[1])

def load(block_info=None):
    (start, stop), _ = block_info[None]["array-location"]
    return sparse.random(stop - start, n_genes, 0.02, "csr", np.float32, np.random.default_rng(start), np.ones)

chunk = 2_000_000 // n_genes
meta = sparse.csr_matrix((0, 0), dtype=np.float32)
lazy = da.map_blocks(load, chunks=((chunk,) * (60_000 // chunk), (n_genes,)), dtype=np.float32, meta=meta)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
names = [str(i) for i in range(n_genes)]
Preprocessor(n_top_genes=200, n_components=10).fit(lazy, names, values="counts").transform(lazy)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10)
"""


@pytest.mark.slow
def test_memory_beyond_the_expression_does_not_grow_with_the_genes():
    def peak(n_genes):
        command = [sys.executable, "-W", "ignore", "-c", GROWTH, str(n_genes)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    # In memory the expression of the wider would take 190 MB; what does grow are some vectors as long as the genes.
    assert peak(20_000) < peak(2_000) + 60


def test_what_cannot_be_read_by_spots_is_refused(tmp_path):
    anndata.AnnData(simulate().tocsc()).write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(ValueError, match=r"gene by gene \(CSC\)"):
        row_blocks(anndata.read_h5ad(tmp_path / "a.h5ad", backed="r").X)
    unknown = da.from_array(simulate().toarray(), chunks=10)
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        row_blocks(unknown[unknown[:, 0] > 0])
    with pytest.raises(TypeError, match="dtype bool"):
        row_blocks(unknown > 0)
    with pytest.raises(TypeError, match="is a DataFrame"):
        row_blocks(anndata.AnnData(simulate()).to_df())
