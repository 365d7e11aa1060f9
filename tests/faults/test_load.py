"""Long use, and many slices: the benchmark `benchmarks.load` has larger numbers."""

import gc
import os
import weakref
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import spotscape as sps

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def fit(adata, max_epochs=1):
    sps.SPOTSCAPE.setup_anndata(adata, slice_key="slice")
    model = sps.SPOTSCAPE(adata, n_hidden=16, n_latent=8, n_prototypes=(3,), slice_correction="none")
    model.train(max_epochs, enable_progress_bar=False)
    return model.get_latent_representation()


def held():
    """Resident memory in MB, open files and threads of this process."""
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1024, len(os.listdir("/proc/self/fd")), int(status["Threads"])


@pytest.mark.slow
@needs_proc
def test_two_hundred_fits_in_one_process_hold_nothing():
    alive, found = [], []
    for number in range(200):
        adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=60, n_domains=3, seed=number)
        alive.append(weakref.ref(adata))
        fit(adata, 1 + number % 3)
        del adata
        if number in (49, 199):
            found.append(held())
    (early, files, threads), (late, files_later, threads_later) = found
    assert not [one for one in alive if one() is not None]
    assert late < early + 60 and files_later <= files and threads_later <= threads


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*are unlike those that the model was trained on")
def test_ten_thousand_slices():
    rng = np.random.default_rng(0)
    counts = sparse.csr_matrix(rng.poisson(1.0, (100_000, 60)).astype(np.float32))
    adata = AnnData(counts, obsm={"spatial": rng.random((100_000, 2))})
    adata.obs["slice"] = np.repeat([f"slice_{number}" for number in range(10_000)], 10)
    latent = fit(adata)
    assert latent.shape == (100_000, 8) and np.isfinite(latent).all()


@pytest.mark.slow
def test_thirty_thousand_genes():
    rng = np.random.default_rng(0)
    counts = sparse.random(2000, 30_000, 0.05, "csr", np.float32, rng, lambda size: rng.poisson(1.0, size) + 1)
    adata = AnnData(counts, obsm={"spatial": rng.random((2000, 2))})
    adata.obs["slice"] = "one"
    assert np.isfinite(fit(adata)).all()
