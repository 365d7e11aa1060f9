"""The model that the repository has as an example, as a stranger uses it."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

from spotscape import SPOTSCAPE, metrics, tl

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "pretrained" / "human_cortex"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the pretrained model is in the repository alone")


def mapped(adata):
    """A section with the domains of the model, by the lines of the user guide."""
    hub = pytest.importorskip("scvi.hub")
    hub_model = hub.HubModel(str(FOLDER))
    SPOTSCAPE.prepare_query_anndata(adata, hub_model.local_dir)
    hub_model.load_model(adata=adata)
    adata.obsm["X_spotscape"] = hub_model.model.get_latent_representation()
    tl.predict_domains(adata, hub_model.model)
    return hub_model


@pytest.mark.filterwarnings("ignore:.*are unlike those that the model was trained on")
def test_a_section_gets_the_domains_of_the_model():
    rng = np.random.default_rng(0)
    genes = SPOTSCAPE.prepare_query_anndata(AnnData(np.ones((1, 1))), FOLDER, return_reference_var_names=True)
    assert len(genes) == 2000
    # Another order, some of its genes, and one that it does not know.
    names = [*rng.permutation(genes)[:1500], "unknown"]
    adata = AnnData(rng.poisson(1.0, (120, len(names))).astype(np.float32))
    adata.var_names = names
    adata.obs["slice"] = "mine"
    adata.obs["total_counts"] = 4000.0
    adata.obsm["spatial"] = rng.uniform(0, 100, (120, 2))
    hub_model = mapped(adata)
    assert set(adata.obs["spatial_domain"].cat.categories) == {
        *("layer 1 and pia", "layers 2 and 3", "layers 3 and 4", "layer 5", "layer 6", "white matter", "plasma cells")
    }
    assert len(adata.uns["spatial_domain_colors"]) == 7
    # Counts without structure are no cortex.
    assert hub_model.model.get_slice_novelty()["out_of_distribution"].all()


def test_the_folder_is_small_and_has_no_data():
    files = {path.name for path in FOLDER.iterdir()}
    assert files == {"README.md", "_scvi_required_metadata.json", "model.pt"}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 5e6
    card = (FOLDER / "README.md").read_text()
    assert "*white matter*" in card and "license: bsd-3-clause" in card


@pytest.mark.data
def test_its_domains_are_the_layers(section):
    adata = section("dlpfc_151673_hvg")
    adata.obs["total_counts"] = adata.obs["total_umi_full"]
    mapped(adata)
    assert metrics.adjusted_rand_index(adata.obs["domain"], adata.obs["spatial_domain"]) > 0.55
    found = adata.obs.loc[adata.obs["spatial_domain"] == "white matter", "domain"]
    assert (found.astype(str) == "WM").mean() > 0.9


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*genes are not in all", "ignore:Entries of `uns` that differ")
def test_the_script_makes_it(data_file):
    path = ROOT / "scripts" / "pretrain_cortex.py"
    spec = importlib.util.spec_from_file_location("pretrain_cortex", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    _, adata = script.train(script.read(data_file("dlpfc_151675_hvg.h5ad").parent))
    script.name_domains(adata)
    packed = adata.copy()
    mapped(packed)
    assert (packed.obs["spatial_domain"].astype(str) == adata.obs["spatial_domain"].astype(str)).mean() > 0.95
