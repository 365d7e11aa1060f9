"""Models on expression that stays in files."""

import anndata
import numpy as np
import pytest

from spotscape import SPOTSCAPE
from spotscape.datasets import synthetic_tissue
from spotscape.io import read_sections
from spotscape.preprocessing import _row_blocks as row_blocks

pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2")


def trained(adata, **setup):
    SPOTSCAPE.setup_anndata(adata, **{"slice_key": "slice"} | setup)
    model = SPOTSCAPE(adata, n_hidden=16, n_latent=8, n_prototypes=(3, 5), seed=0)
    model.train(4, enable_progress_bar=False)
    return model


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(row_blocks, "_VALUES_IN_BLOCK", 1000)


@pytest.fixture
def sections(tmp_path):
    """Two sections in two kinds of files, and the same in memory."""
    adata = synthetic_tissue(n_slices=2, n_spots=120, n_genes=60, n_domains=4, seed=0)
    paths = [tmp_path / "slice_1.h5ad", tmp_path / "slice_2.zarr"]
    adata[adata.obs["slice"] == "slice_1"].copy().write_h5ad(paths[0])
    adata[adata.obs["slice"] == "slice_2"].copy().write_zarr(paths[1])
    return paths, read_sections(paths)


@pytest.mark.parametrize("layer", [None, "counts"])
def test_sections_in_files_give_the_model_of_those_in_memory(sections, layer, tmp_path):
    paths, loaded = sections
    lazy = read_sections(paths, lazy=True)
    expected, model = trained(loaded, layer=layer), trained(lazy, layer=layer)
    latent = model.get_latent_representation()
    np.testing.assert_allclose(latent, expected.get_latent_representation(), atol=1e-5)
    genes = [lazy.var_names[5], lazy.var_names[2]]
    for library_size in (1.0, "latent"):
        found = model.get_normalized_expression(gene_list=genes, library_size=library_size)
        wanted = expected.get_normalized_expression(gene_list=genes, library_size=library_size)
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)
    assert hasattr(lazy.X, "dask") and hasattr(lazy.layers["counts"], "dask")

    model.save(tmp_path / "model")
    again = SPOTSCAPE.load(tmp_path / "model", adata=read_sections(paths, lazy=True))
    np.testing.assert_allclose(again.get_latent_representation(), latent, atol=1e-6)
    without = SPOTSCAPE.load(tmp_path / "model", adata=False)
    np.testing.assert_allclose(
        without.get_latent_representation(read_sections(paths[1:], lazy=True)), latent[120:], atol=1e-5
    )


def test_backed_data_give_the_model_of_those_in_memory(sections, tmp_path):
    loaded = sections[1]
    loaded.write_h5ad(tmp_path / "all.h5ad")
    backed = anndata.read_h5ad(tmp_path / "all.h5ad", backed="r")
    expected, model = trained(loaded), trained(backed)
    np.testing.assert_allclose(model.get_latent_representation(), expected.get_latent_representation(), atol=1e-5)
    genes = list(backed.var_names[:2])
    np.testing.assert_allclose(
        model.get_normalized_expression(gene_list=genes),
        expected.get_normalized_expression(gene_list=genes),
        rtol=1e-3,
        atol=1e-6,
    )
    model.save(tmp_path / "model")
    again = SPOTSCAPE.load(tmp_path / "model", adata=anndata.read_h5ad(tmp_path / "all.h5ad", backed="r"))
    np.testing.assert_allclose(again.get_latent_representation(), model.get_latent_representation(), atol=1e-6)


def test_expression_in_a_file_is_read_once_for_the_set_up(sections, tmp_path, monkeypatch):
    sections[1].write_h5ad(tmp_path / "all.h5ad")
    backed = anndata.read_h5ad(tmp_path / "all.h5ad", backed="r")
    read, n_read = row_blocks._read_slice, []

    def counted(matrix, start, stop):
        n_read.append(stop - start)
        return read(matrix, start, stop)

    monkeypatch.setattr(row_blocks, "_read_slice", counted)
    SPOTSCAPE.setup_anndata(backed, slice_key="slice")
    assert len(n_read) > 5 and sum(n_read) == backed.n_obs


def test_lazy_expression_is_checked_as_that_in_memory(sections, tmp_path):
    adata = sections[1]
    counts = adata.X.tolil()
    counts[130, 7] = -3
    adata.X = counts.tocsr()
    adata.write_h5ad(tmp_path / "wrong.h5ad")
    lazy = read_sections([tmp_path / "wrong.h5ad"], lazy=True)
    with pytest.raises(
        ValueError, match="1 negative value.*spot 'slice_2_spot_011' of slice 'slice_2', gene 'gene_08'"
    ):
        SPOTSCAPE.setup_anndata(lazy, slice_key="slice")
    assert not lazy.obsp and "_scvi_uuid" not in lazy.uns
