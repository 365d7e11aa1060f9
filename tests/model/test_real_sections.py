"""The defaults on real sections: cortex, single cells, legacy arrays, values that are not counts."""

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import rankdata

from spotscape import SPOTSCAPE, metrics, tl
from spotscape.io import read_sections

CORTEX = "dlpfc_151673_hvg", "dlpfc_151675_hvg"

pytestmark = pytest.mark.data


def trained(adata, *, seed=0, epochs=None, **setup):
    SPOTSCAPE.setup_anndata(adata, **setup)
    model = SPOTSCAPE(adata, seed=seed)
    model.train(epochs, enable_progress_bar=False)
    adata.obsm["X_spotscape"] = model.get_latent_representation()
    return model


@pytest.fixture(scope="module")
def cortex(section):
    return section(CORTEX[0])


@pytest.mark.slow
def test_cortical_layers_are_found_whatever_the_seed_and_lie_in_order(cortex):
    scores = []
    for seed in range(5):
        trained(cortex, seed=seed, size_factor_key="total_umi_full")
        tl.domains(cortex, n_domains=7)
        scores.append(metrics.adjusted_rand_index(cortex.obs["domain"], cortex.obs["spatial_domain"]))
    assert min(scores) > 0.6 and np.ptp(scores) < 0.05, scores

    # Domains that touch each other are neighbours in depth, from white matter to layer 1.
    depth = cortex.obs["domain"].astype("category").cat.codes.where(cortex.obs["domain"].notna())
    found = cortex.obs["spatial_domain"].cat.codes.to_numpy()
    rank = rankdata(depth.groupby(found).mean())
    rows, columns = cortex.obsp["spatial_connectivities"].nonzero()
    steps = np.abs(rank[found[rows]] - rank[found[columns]])
    assert (steps[steps > 0] <= 2).mean() > 0.95


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*genes are not in all", "ignore:Entries of `uns` that differ")
def test_two_sections_share_their_domains(data_file):
    adata = read_sections([data_file(f"{name}.h5ad") for name in CORTEX])
    trained(adata, slice_key="slice", size_factor_key="total_umi_full")
    tl.domains(adata, n_domains=7)
    assert metrics.adjusted_rand_index(adata.obs["domain"], adata.obs["spatial_domain"]) > 0.55
    in_both = adata.obs.groupby("spatial_domain", observed=True)["slice"].nunique()
    assert (in_both == 2).all()


@pytest.mark.parametrize(("name", "slice_name"), [("starmap_mpfc_3slices", "BZ14"), ("her2st_patientD", "D1")])
def test_small_sections_stay_near_smoothed_components(name, slice_name, section):
    adata = section(name)
    adata = adata[adata.obs["slice"] == slice_name].copy()
    model = trained(adata)
    annotated = adata.obs["domain"].notna() & (adata.obs["domain"] != "undetermined")
    connectivities = adata.obsp["spatial_connectivities"]
    average = connectivities + sparse.eye(adata.n_obs)
    average = sparse.diags(1 / np.asarray(average.sum(axis=1)).ravel()) @ average
    adata.obsm["X_smoothed"] = average @ average @ model.preprocessor.transform(adata.X)
    known = adata[annotated].copy()
    known.obs["domain"] = known.obs["domain"].astype(str)
    scores = {}
    for representation in ("X_spotscape", "X_smoothed"):
        tl.domains(known, representation, known.obs["domain"].nunique())
        scores[representation] = metrics.adjusted_rand_index(known.obs["domain"], known.obs["spatial_domain"])
    assert scores["X_spotscape"] > scores["X_smoothed"] - 0.05, scores


# Real sections have empty spots, and cells at one position.
@pytest.mark.filterwarnings("ignore:.* spots have no expression at all", "ignore:.* spots share their position")
@pytest.mark.parametrize("name", ["starmap_mpfc_3slices", "her2st_patientD", "osmfish_sscortex", "her2st_C2_he"])
def test_any_section_goes_through(name, section):
    adata = section(name)
    model = trained(adata, epochs=3, slice_key="slice")
    assert np.isfinite(adata.obsm["X_spotscape"]).all()
    genes = list(adata.var_names[:50])
    assert np.isfinite(model.get_normalized_expression(gene_list=genes, return_numpy=True)).all()


def test_values_that_are_not_counts_are_recognised(section):
    adata = section("merfish_hypothalamus_2slices")
    with pytest.warns(UserWarning, match="declared as counts and used as such, but looks normalized"):
        SPOTSCAPE.setup_anndata(adata.copy(), slice_key="slice", values="counts")
    with pytest.warns(UserWarning, match="recognised as normalized"):
        trained(adata, epochs=2, slice_key="slice")
    assert np.isfinite(adata.obsm["X_spotscape"]).all()
