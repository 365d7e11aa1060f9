"""BANKSY for domains as in its documentation: python -m benchmarks.peers.banksy TISSUE RECORD.

The steps are those of its ``run_banksy_multiparam``, which cannot go without pictures and files. Slices are laid side
by side, as its example of several sections does.
"""

import sys

import anndata
import matplotlib
import scanpy as sc
from banksy.cluster_methods import run_Leiden_partition
from banksy.embed_banksy import generate_banksy_matrix
from banksy.initialize_banksy import initialize_banksy
from banksy_utils.umap_pca import pca_umap

from benchmarks.common.stages import Stages, found_domains, versions, write_record
from benchmarks.peers.positions import lay_side_by_side

matplotlib.use("Agg")

#: What its documentation advises for domains: weight of the neighbourhood, neighbours, order of the gradient.
LAMBDA, N_NEIGHBORS, MAX_M = 0.8, 15, 1
RESOLUTION = 0.5

stages = Stages()
with stages("read"):
    adata = anndata.read_h5ad(sys.argv[1])
with stages("set-up"):
    adata.obsm["spatial"] = lay_side_by_side(adata)
    adata.obs["x"], adata.obs["y"] = adata.obsm["spatial"].T
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    banksy = initialize_banksy(
        adata,
        ("x", "y", "spatial"),
        num_neighbours=N_NEIGHBORS,
        max_m=MAX_M,
        plt_edge_hist=False,
        plt_nbr_weights=False,
        plt_theta=False,
    )
with stages("embedding"):
    banksy, _ = generate_banksy_matrix(adata, banksy, [LAMBDA], MAX_M, verbose=False)
    pca_umap(banksy, pca_dims=[20], plt_remaining_var=False)
with stages("domains"):
    results, _ = run_Leiden_partition(banksy, [RESOLUTION], match_labels=False)
write_record(
    sys.argv[2],
    stages.record(),
    found_domains(adata.obs["domain"].astype(str), results["labels"].iloc[0].dense),
    {"versions": versions("pybanksy", "scanpy")},
)
