"""Sections that do not fit a model are refused, and stay as they were."""

import anndata
import pytest

from spotscape import SPOTSCAPE

from .conftest import assert_unchanged, new_section

# anndata, scvi-tools and the check of the values warn of what is then refused
pytestmark = [
    pytest.mark.filterwarnings("ignore:Variable names are not unique"),
    pytest.mark.filterwarnings("ignore:`var_names` for the loaded `model` does not match"),
    pytest.mark.filterwarnings("ignore:The expression is not counts"),
]


def reordered(adata):
    return adata[:, ::-1].copy()


def missing_genes(adata):
    return adata[:, 5:].copy()


def further_gene(adata):
    more = anndata.concat([adata, adata[:, :1].copy()], axis=1, merge="first")
    more.var_names_make_unique()
    return more


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (reordered, "in another order or among others.*get_var_names"),
        (missing_genes, "5 of the 60 genes of the model are missing"),
        (further_gene, "in another order or among others"),
    ],
)
def test_other_genes_at_load_are_refused(saved, change, message):
    adata = change(new_section())
    before = adata.copy()
    with pytest.raises(ValueError, match=message):
        SPOTSCAPE.load(saved, adata=adata)
    with pytest.raises(ValueError, match=message):
        SPOTSCAPE.load(saved, adata=False).get_latent_representation(adata)
    with pytest.raises(ValueError, match=message):
        SPOTSCAPE.load(saved, adata=new_section()).get_latent_representation(adata)
    assert_unchanged(adata, before)


def test_other_values_at_load_are_refused(saved):
    adata = new_section()
    adata.layers["counts"] = (adata.layers["counts"] * 0.3).log1p()
    before = adata.copy()
    message = "set up with counts values, but this data has"
    with pytest.raises(ValueError, match=message):
        SPOTSCAPE.load(saved, adata=adata)
    for of_the_model in (False, new_section()):
        with pytest.raises(ValueError, match=message):
            SPOTSCAPE.load(saved, adata=of_the_model).get_latent_representation(adata)
    assert_unchanged(adata, before)


def test_new_slices_at_load_are_taken(saved):
    adata = new_section()
    adata.obs["slice"] = "never seen"
    assert SPOTSCAPE.load(saved, adata=adata).get_latent_representation().shape == (80, 4)
