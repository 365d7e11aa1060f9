"""MuData, pickle and joblib keep results; models are shared between processes by joblib."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest

import spotscape as sps

mudata = pytest.importorskip("mudata")
# What other packages warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


def assert_same_results(found, expected):
    pd.testing.assert_frame_equal(found.obs, expected.obs, check_index_type=False)
    np.testing.assert_array_equal(found.obsm["X_spotscape"], expected.obsm["X_spotscape"])
    assert found.uns["spatial_domain"].keys() == expected.uns["spatial_domain"].keys()
    assert (found.obsp["spatial_connectivities"] != expected.obsp["spatial_connectivities"]).nnz == 0


@pytest.mark.parametrize("suffix", ["h5mu", "zarr"])
def test_results_come_back_from_a_mudata_file_and_can_be_used(analysed, adata, suffix, tmp_path):
    path = tmp_path / f"data.{suffix}"
    data = mudata.MuData({"rna": adata})
    data.write_zarr(path) if suffix == "zarr" else data.write_h5mu(path)
    found = (mudata.read_zarr(path) if suffix == "zarr" else mudata.read_h5mu(path))["rna"]
    assert_same_results(found, adata)
    np.testing.assert_array_equal(analysed[0].get_latent_representation(found), adata.obsm["X_spotscape"])
    assert sps.tl.markers(found, "spatial_domain", copy=True).n_obs == adata.n_obs


def test_results_are_pickled(adata):
    assert_same_results(pickle.loads(pickle.dumps(adata)), adata)


def test_joblib_keeps_results_and_models(analysed):
    joblib = pytest.importorskip("joblib")
    model, adata = analysed
    buffer = io.BytesIO()
    joblib.dump((model, adata), buffer, compress=3)
    buffer.seek(0)
    again, data = joblib.load(buffer)
    assert_same_results(data, adata)
    np.testing.assert_array_equal(again.get_latent_representation(), model.get_latent_representation())


def test_threads_of_joblib_ask_one_model_at_once(analysed):
    joblib = pytest.importorskip("joblib")
    model, adata = analysed
    parts = np.array_split(np.arange(adata.n_obs), 4)
    jobs = (joblib.delayed(model.get_latent_representation)(indices=part) for part in parts)
    found = joblib.Parallel(n_jobs=2, backend="threading")(jobs)
    np.testing.assert_allclose(np.concatenate(found), adata.obsm["X_spotscape"], atol=1e-5)
