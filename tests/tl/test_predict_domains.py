"""Domains of a reference for new sections."""

import anndata
import numpy as np
import pytest
from scipy import sparse

from spotscape import SPOTSCAPE, datasets, io, metrics, tl


@pytest.fixture
def adata():
    """Two hundred spots whose domains overlap."""
    rng = np.random.default_rng(0)
    values = 2 * rng.normal(size=(4, 6))[np.arange(200) % 4] + rng.normal(size=(200, 6))
    return anndata.AnnData(obsm={"X_spotscape": values})


def with_ring(adata):
    """Each spot is the neighbour of the next."""
    n_spots = adata.n_obs
    ring = sparse.eye_array(n_spots).tocsr()[np.roll(np.arange(n_spots), 1)]
    adata.obsp["spatial_connectivities"] = sparse.csr_matrix(ring + ring.T)
    return adata


@pytest.mark.parametrize(
    "settings",
    [
        {"n_domains": 4},
        {"n_domains": [2, 3, 5]},
        {"n_domains": 4, "smoothing": 0.5},
        {"n_domains": 4, "method": "kmeans"},
        # The representation has nearly no clusters, so several partitions fit.
        {"n_domains": 9, "n_init": 20},
    ],
)
def test_the_spots_of_the_reference_keep_their_domains(adata, settings):
    tl.domains(with_ring(adata), **settings)
    again = with_ring(anndata.AnnData(obsm={"X_spotscape": adata.obsm["X_spotscape"]}))
    tl.predict_domains(again, adata)
    assert list(again.obs) == list(adata.obs)
    for name in adata.obs:
        if name.endswith("confidence"):
            np.testing.assert_allclose(again.obs[name].to_numpy(), adata.obs[name].to_numpy(), atol=1e-8)
        else:
            assert (again.obs[name].to_numpy() == adata.obs[name].to_numpy()).all()
            assert again.obs[name].dtype == adata.obs[name].dtype


def test_more_spots_than_restarts_use(monkeypatch, adata):
    monkeypatch.setattr("spotscape.cluster._partitions.N_SPOTS_STARTS", 100)
    tl.domains(adata, n_domains=4, n_init=10)
    again = tl.predict_domains(adata, adata, key_added="again", reference_key="spatial_domain", copy=True)
    assert (again.obs["again"] == adata.obs["spatial_domain"]).all()


def test_names_colours_and_categories_are_those_of_the_reference(adata):
    tl.domains(adata, n_domains=[2, 4])
    adata.obs["spatial_domain"] = adata.obs["spatial_domain"].cat.rename_categories(["a", "b", "c", "d"])
    adata.uns["spatial_domain_colors"] = ["#000000", "#111111", "#222222", "#333333"]
    adata.uns["spatial_domain_2_colors"] = ["#000000", "#111111"]
    one = anndata.AnnData(obsm={"X_spotscape": adata.obsm["X_spotscape"][:1]})
    one.uns["spatial_domain_colors"] = ["#ffffff"] * 4
    tl.predict_domains(one, adata)
    assert one.obs["spatial_domain"].cat.categories.tolist() == ["a", "b", "c", "d"]
    assert one.obs["spatial_domain"].iloc[0] == adata.obs["spatial_domain"].iloc[0]
    assert one.uns["spatial_domain_colors"] == adata.uns["spatial_domain_colors"]
    assert one.uns["spatial_domain_2_colors"] == ["#000000", "#111111"]
    np.testing.assert_array_equal(one.uns["spatial_domain"]["sizes"].sum(), 1)


def test_a_stored_entry_and_a_predicted_section_are_references_too(adata, tmp_path):
    tl.domains(adata, n_domains=4, key_added="layer")
    adata.write_h5ad(tmp_path / "reference.h5ad")
    stored = anndata.read_h5ad(tmp_path / "reference.h5ad")
    new = anndata.AnnData(obsm={"X_new": adata.obsm["X_spotscape"] + 0.1})
    results = [
        tl.predict_domains(new, one, use_rep="X_new", copy=True) for one in (adata.uns["layer"], stored.uns["layer"])
    ]
    results.append(tl.predict_domains(new, stored, use_rep="X_new", reference_key="layer", copy=True))
    results.append(tl.predict_domains(new, results[0], use_rep="X_new", copy=True))
    for result in results:
        assert result.obs["spatial_domain"].equals(results[0].obs["spatial_domain"])
    results[0].write_h5ad(tmp_path / "new.h5ad")
    assert list(new.obs) == [] and "spatial_domain" not in new.uns


def test_the_domain_of_a_spot_does_not_depend_on_the_others(adata):
    tl.domains(adata, n_domains=4)
    part = adata[::7].copy()
    tl.predict_domains(part, adata, key_added="predicted", reference_key="spatial_domain")
    assert (part.obs["predicted"] == part.obs["spatial_domain"]).all()


def train(adata, **keys):
    SPOTSCAPE.setup_anndata(adata, **keys)
    model = SPOTSCAPE(adata)
    model.train(enable_progress_bar=False)
    adata.obsm["X_spotscape"] = model.get_latent_representation()
    return model


@pytest.mark.slow
def test_a_held_back_slice_is_as_good_as_clustered_with_the_others():
    tissue = datasets.synthetic_tissue(n_slices=4, seed=0)
    is_new = (tissue.obs["slice"] == "slice_4").to_numpy()
    known, new = tissue[~is_new].copy(), tissue[is_new].copy()
    model = train(known, layer="counts", slice_key="slice")
    new.obsm["X_spotscape"] = model.get_latent_representation(new)
    tl.domains(known, n_domains=7)
    tl.predict_domains(new, known)
    both = anndata.concat([known, new])
    tl.domains(both, n_domains=7)
    together = both.obs.loc[new.obs_names, "spatial_domain"]
    scores = [metrics.adjusted_rand_index(new.obs["domain"], one) for one in (new.obs["spatial_domain"], together)]
    assert scores[0] > scores[1] - 0.03, scores


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*genes are not in all", "ignore:Entries of `uns` that differ")
def test_a_cortex_section_is_as_good_as_trained_and_clustered_with_another(section, data_file):
    known, new = (section(f"dlpfc_{name}_hvg") for name in (151673, 151675))
    model = train(known, size_factor_key="total_umi_full")
    SPOTSCAPE.prepare_query_anndata(new, model)
    new.obsm["X_spotscape"] = model.get_latent_representation(new)
    tl.domains(known, n_domains=7)
    tl.predict_domains(new, known)
    both = io.read_sections([data_file(f"dlpfc_{name}_hvg.h5ad") for name in (151673, 151675)])
    train(both, slice_key="slice", size_factor_key="total_umi_full")
    tl.domains(both, n_domains=7)
    together = both[(both.obs["slice"] == "151675").to_numpy()].obs
    scores = [metrics.adjusted_rand_index(one["domain"], one["spatial_domain"]) for one in (new.obs, together)]
    assert scores[0] > scores[1] - 0.03, scores
