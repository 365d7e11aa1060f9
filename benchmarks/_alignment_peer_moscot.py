"""PASTE :cite:p:`Zeira2022` on one pair of slices; run by ``alignment.py`` in an environment that has ``paste-bio``.

python _alignment_peer_paste.py QUERY.h5ad REFERENCE.h5ad OUT.npz
"""

import sys
from functools import partial

import anndata
import numpy as np
import ot
import paste
import scanpy as sc
from scipy import sparse

MIN_COUNTS = 15
#: Steps of the network simplex. The default of POT, 100,000, ends before the optimum with thousands of spots, and PASTE
#: then gives a plan that says nothing.
MAX_STEPS = 5_000_000


def main(query: str, reference: str, out: str) -> None:
    """Write the coupling of the spots of the query (rows) with those of the reference, as its authors' tutorial does.

    Genes with fewer than 15 molecules in one of the slices are left out; all else is the default, but for the number of
    steps of its solver.
    """
    slices = [anndata.read_h5ad(path) for path in (query, reference)]
    for one in slices:
        sc.pp.filter_genes(one, min_counts=MIN_COUNTS)
    ot.optim.cg = partial(ot.optim.cg, numItermaxEmd=MAX_STEPS)
    plan = paste.pairwise_align(*slices)
    sparse.save_npz(out, sparse.csr_matrix(np.asarray(plan)))


if __name__ == "__main__":
    main(*sys.argv[1:])
