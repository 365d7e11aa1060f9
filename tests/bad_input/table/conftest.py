"""One small tissue with every result that a function reads."""

import warnings

import numpy as np
import pytest
from anndata import AnnData

import spotscape as sps


@pytest.fixture(scope="session")
def raw_tissue() -> AnnData:
    """Four small slices of two modalities, two of each condition, not set up."""
    adata = sps.datasets.synthetic_modalities(n_slices=4, n_spots=40, n_kinds=4, n_genes=40, n_image_features=10)
    adata.obs["condition"] = np.where(adata.obs["slice"].isin(["slice_1", "slice_2"]), "healthy", "ill")
    codes = adata.obs["kind"].cat.codes.to_numpy()
    adata.obsm["X_spotscape"] = np.random.default_rng(0).normal(size=(adata.n_obs, 4)) + 3 * codes[:, None]
    return adata


@pytest.fixture(scope="session")
def tissue(raw_tissue: AnnData) -> AnnData:
    """The same with a graph and the results of the functions of ``tl``."""
    adata, tl = raw_tissue.copy(), sps.tl
    sps.pp.spatial_neighbors(adata, slice_key="slice")
    tl.domains(adata, n_domains=3, n_init=2)
    tl.choose_n_domains(adata, n_domains=(2, 3), n_splits=2, n_init=1)
    tl.markers(adata, layer="counts")
    tl.differential_expression(adata, "1", "condition", "slice", layer="counts", min_counts=1, min_spots=1)
    tl.composition(adata, sample_key="slice", condition="condition")
    tl.enrichment(adata, {"set": list(adata.var_names[:10])}, min_size=2)
    # tl.trajectory itself would compile for seconds
    adata.obs["pseudotime"] = np.linspace(0, 1, adata.n_obs)
    params = {"domain_key": "spatial_domain", "use_rep": "X_spotscape", "n_neighbors": 15}
    adata.uns["pseudotime"] = {"connectivities": np.eye(3), "params": params}
    tl.neighborhood_enrichment(adata, n_permutations=10)
    with warnings.catch_warnings():
        # positions of so few spots do not decide on a placement
        warnings.simplefilter("ignore")
        tl.align(adata, "slice_1")
    return adata
