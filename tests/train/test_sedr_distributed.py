"""Training SEDR on two processes gives the same result as on one."""

import os
import subprocess
import sys

import anndata
import numpy as np
import pytest

from spotscape.metrics import adjusted_rand_index
from spotscape.tl import domains

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
import numpy as np
from lightning.pytorch import Callback
import spotscape

class Losses(Callback):
    def __init__(self):
        self.losses = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))

def main(n_processes, batch_size, draws, folder):
    adata = spotscape.datasets.synthetic_tissue(n_slices=3, n_spots=300, n_genes=80, n_domains=4, seed=0)
    spotscape.SEDR.setup_anndata(adata, layer="counts", slice_key="slice")
    kind = {} if draws else {"adjacency_weight": 0.0, "n_clusters": 4}
    model = spotscape.SEDR(adata, n_hidden=32, n_latent=8, **kind)
    if not draws:
        # A standard deviation of almost zero removes the noise but keeps the gradients.
        forward = model.module.graph_encoder.forward
        def without_noise(*arguments):
            mean, log_deviation = forward(*arguments)
            return mean, 0 * log_deviation - 100
        model.module.graph_encoder.forward = without_noise
    losses = Losses()
    model.train(
        60 if draws else 20, batch_size=batch_size, patch_size=20, accelerator="cpu", devices=n_processes,
        strategy="ddp" if n_processes > 1 else "auto", enable_progress_bar=False, callbacks=[losses],
    )
    if model.trainer.is_global_zero:
        np.savez(f"{folder}/{n_processes}.npz", latent=model.get_latent_representation(), losses=losses.losses)
        adata.write_h5ad(f"{folder}/tissue.h5ad")

if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), sys.argv[4])
"""


def train_both(folder, batch_size, *, draws):
    """Losses and representation after training on one process, and on two."""
    script = folder / "train.py"
    script.write_text(SCRIPT)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COV_", "PYTEST_"))}
    for n_processes in (1, 2):
        command = [sys.executable, "-W", "ignore", script, *map(str, (n_processes, batch_size, int(draws), folder))]
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=300, cwd=folder, env=environment | {"OMP_NUM_THREADS": "1"}
        )
        assert result.returncode == 0, result.stderr
    return tuple(np.load(folder / f"{n_processes}.npz") for n_processes in (1, 2))


def agreement_of_domains(folder, one, two):
    adata = anndata.read_h5ad(folder / "tissue.h5ad")
    for name, part in (("one", one), ("two", two)):
        adata.obsm[name] = part["latent"]
        domains(adata, name, 4, key_added=name)
    return adjusted_rand_index(adata.obs["one"], adata.obs["two"])


@pytest.mark.parametrize("batch_size", [450, 10_000])
def test_without_random_draws_the_losses_are_equal(tmp_path, batch_size):
    # Masks depend on the spots only and are therefore equal. Clustering starts half-way.
    one, two = train_both(tmp_path, batch_size, draws=False)
    assert len(one["losses"]) == 20 * (2 if batch_size == 450 else 1)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    assert agreement_of_domains(tmp_path, one, two) > 0.99


@pytest.mark.parametrize("batch_size", [450, 10_000])
def test_with_random_draws_the_losses_are_similar(tmp_path, batch_size):
    # Each process draws its own noise, and draws pairs among its own spots.
    one, two = train_both(tmp_path, batch_size, draws=True)
    last = len(one["losses"]) // 3
    assert two["losses"][-last:].mean() == pytest.approx(one["losses"][-last:].mean(), rel=0.02)
    assert agreement_of_domains(tmp_path, one, two) > 0.9
