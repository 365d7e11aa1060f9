"""CellCharter on scVI as in its tutorial: python -m benchmarks.peers.cellcharter TISSUE RECORD."""

import sys

import anndata
import cellcharter
import scvi
import squidpy

from benchmarks.common.stages import Stages, found_domains, versions, write_record

N_DOMAINS = 10

scvi.settings.seed = 0
stages = Stages()
with stages("read"):
    adata = anndata.read_h5ad(sys.argv[1])
with stages("training"):
    scvi.model.SCVI.setup_anndata(adata, batch_key="slice")
    model = scvi.model.SCVI(adata)
    model.train(early_stopping=True, accelerator="cpu", enable_progress_bar=False)
with stages("embedding"):
    adata.obsm["X_scVI"] = model.get_latent_representation()
    squidpy.gr.spatial_neighbors(adata, library_key="slice", coord_type="generic", delaunay=True)
    cellcharter.gr.remove_long_links(adata)
    cellcharter.gr.aggregate_neighbors(adata, n_layers=3, use_rep="X_scVI", out_key="X_cellcharter", sample_key="slice")
with stages("domains"):
    mixture = cellcharter.tl.Cluster(
        n_clusters=N_DOMAINS, random_state=0, trainer_params={"accelerator": "cpu", "enable_progress_bar": False}
    )
    mixture.fit(adata, use_rep="X_cellcharter")
    adata.obs["found"] = mixture.predict(adata, use_rep="X_cellcharter")
write_record(
    sys.argv[2],
    stages.record(),
    found_domains(adata.obs["domain"].astype(str), adata.obs["found"].astype(str)),
    {"versions": versions("cellcharter", "scvi-tools", "squidpy", "torch")},
)
