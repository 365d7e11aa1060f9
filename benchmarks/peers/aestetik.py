"""The authors' package ``aestetik`` :cite:p:`Nonchev2024`; run by ``benchmarks.cross_sample`` where it is installed.

python -m benchmarks.peers.aestetik INPUT.h5ad OUT.npy N_CLUSTERS SEED
"""

import sys

import anndata
import numpy as np
from aestetik import AESTETIK


def main(data: str, out: str, n_clusters: str, seed: str) -> None:
    """Write the embedding, with the defaults of the package.

    The data has both modalities, corrected, in ``obsm``, the lattice sites in ``obs`` and the sample in ``obs``. The
    modality ``X_pca_morphology`` without any variance stands for none, and is given no weight.
    """
    adata = anndata.read_h5ad(data)
    has_image = bool(adata.obsm["X_pca_morphology"].std() > 0)
    model = AESTETIK(
        n_cluster=int(n_clusters),
        used_obs_batch="sample",
        random_state=int(seed),
        **({} if has_image else {"morphology_weight": 0.0}),
    )
    np.save(out, model.fit(adata).embedding_)


if __name__ == "__main__":
    main(*sys.argv[1:])
