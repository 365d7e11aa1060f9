"""GraphST as its tutorials of high-resolution data begin: python -m benchmarks.peers.graphst TISSUE RECORD.

Its tutorials cluster with R's mclust; the mixture of the same family (one shared covariance, 20 components) of
scikit-learn stands in for it. It knows no slices, so they are laid side by side.
"""

import sys

import anndata
import torch
from GraphST.GraphST import GraphST
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from benchmarks.common.stages import Stages, found_domains, versions, write_record
from benchmarks.peers.positions import lay_side_by_side

N_DOMAINS = 10

stages = Stages()
with stages("read"):
    adata = anndata.read_h5ad(sys.argv[1])
with stages("model"):
    adata.obsm["spatial"] = lay_side_by_side(adata)
    model = GraphST(adata, device=torch.device("cpu"), datatype="Stereo")
with stages("training"):
    adata = model.train()
with stages("domains"):
    components = PCA(n_components=20, random_state=42).fit_transform(adata.obsm["emb"])
    found = GaussianMixture(N_DOMAINS, covariance_type="tied", random_state=0).fit_predict(components)
write_record(
    sys.argv[2],
    stages.record(),
    found_domains(adata.obs["domain"].astype(str), found),
    {"versions": versions("GraphST", "scanpy", "torch")},
)
