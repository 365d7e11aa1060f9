"""moscot :cite:p:`Klein2025` on one pair of slices; run by ``benchmarks.alignment`` in an environment that has it.

python -m benchmarks.peers.moscot QUERY.h5ad REFERENCE.h5ad OUT.npz
"""

import sys

import anndata
import numpy as np
import scanpy as sc
from moscot.problems.space import AlignmentProblem
from scipy import sparse

N_COMPONENTS = 30


def main(query: str, reference: str, out: str) -> None:
    """Write the coupling of the spots of the query (rows) with those of the reference.

    Fused Gromov-Wasserstein transport with the defaults of the aligner, on positions and on principal components of
    log-normalised expression of both slices. Of each row only the weights that are not negligible are stored.
    """
    pair = anndata.concat({"query": anndata.read_h5ad(query), "reference": anndata.read_h5ad(reference)}, label="role")
    sc.pp.normalize_total(pair)
    sc.pp.log1p(pair)
    sc.pp.pca(pair, n_comps=N_COMPONENTS)
    problem = AlignmentProblem(pair).prepare(
        batch_key="role", joint_attr={"attr": "obsm", "key": "X_pca"}, policy="star", reference="reference"
    )
    solution = problem.solve().solutions["query", "reference"]
    plan = np.array(solution.transport_matrix)
    plan[plan < 1e-4 * plan.max(axis=1, keepdims=True)] = 0
    sparse.save_npz(out, sparse.csr_matrix(plan))


if __name__ == "__main__":
    main(*sys.argv[1:])
