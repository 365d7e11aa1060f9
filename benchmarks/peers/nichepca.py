"""NichePCA as its documentation begins: python -m benchmarks.peers.nichepca TISSUE RECORD."""

import sys

import anndata
import nichepca
import scanpy as sc

from benchmarks.common.stages import Stages, found_domains, versions, write_record

stages = Stages()
with stages("read"):
    adata = anndata.read_h5ad(sys.argv[1])
with stages("embedding"):
    several = adata.obs["slice"].nunique() > 1
    nichepca.wf.nichepca(adata, knn=25, sample_key="slice" if several else None)
with stages("domains"):
    sc.pp.neighbors(adata, use_rep="X_npca")
    sc.tl.leiden(adata, resolution=0.5)
write_record(
    sys.argv[2],
    stages.record(),
    found_domains(adata.obs["domain"].astype(str), adata.obs["leiden"].astype(str)),
    {"versions": versions("nichepca", "scanpy", "torch")},
)
