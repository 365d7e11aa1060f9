"""Training SPOTSCAPE on two processes gives the same result as on one."""

import os
import subprocess
import sys

import numpy as np
import pytest

from spotscape.metrics import adjusted_rand_index
from spotscape.tl import domains

pytestmark = pytest.mark.slow

SCRIPT = """
import os, sys
import numpy as np
from lightning.pytorch import Callback
import spotscape

class Failure(Callback):
    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 2 and trainer.global_rank == 1:
            os._exit(3)

class Losses(Callback):
    def __init__(self):
        self.losses = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))

def main(n_processes, batch_size, patch_size, folder, fails):
    adata = spotscape.datasets.synthetic_tissue(n_slices=3, n_spots=300, n_genes=80, n_domains=4, seed=0)
    spotscape.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = spotscape.SPOTSCAPE(adata, n_hidden=32, n_latent=16, n_prototypes=(4, 6), n_anchors=200)
    losses = Losses()
    model.train(
        20, batch_size=batch_size, patch_size=patch_size or None, accelerator="cpu", devices=n_processes,
        strategy="ddp" if n_processes > 1 else "auto", enable_progress_bar=False, early_stopping=True,
        callbacks=[losses, Failure()] if fails else [losses],
    )
    if model.trainer.is_global_zero:
        np.savez(f"{folder}/{n_processes}.npz", latent=model.get_latent_representation(), losses=losses.losses)
        adata.write_h5ad(f"{folder}/tissue.h5ad")

if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), sys.argv[4], len(sys.argv) > 5)
"""


def run(tmp_path, *arguments):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-W", "ignore", script, *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COV_", "PYTEST_"))}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=environment | {"OMP_NUM_THREADS": "1"}
    )


@pytest.mark.parametrize("patch_size", [20, 0], ids=["patches", "spots"])
@pytest.mark.parametrize("batch_size", [450, 10_000])
def test_two_processes_give_the_same_losses_as_one(tmp_path, batch_size, patch_size):
    for n_processes in (1, 2):
        result = run(tmp_path, n_processes, batch_size, patch_size, tmp_path)
        assert result.returncode == 0, result.stderr
    one, two = (np.load(tmp_path / f"{n_processes}.npz") for n_processes in (1, 2))
    assert len(one["losses"]) == 20 * (2 if batch_size == 450 else 1)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)

    import anndata

    adata = anndata.read_h5ad(tmp_path / "tissue.h5ad")
    for name, part in (("one", one), ("two", two)):
        adata.obsm[name] = part["latent"]
        domains(adata, name, 4, key_added=name)
    assert adjusted_rand_index(adata.obs["one"], adata.obs["two"]) > 0.99


def test_training_ends_with_a_clear_error_if_a_process_dies(tmp_path):
    result = run(tmp_path, 2, 450, 20, tmp_path, "fails")
    assert result.returncode != 0
    # Lightning checks the other processes every five seconds. If it checks before our own error is raised, it reports
    # the failure itself and ends this process.
    own_message = "Another process of this training ended early"
    lightning_message = "terminated with code 3. Forcefully terminating"
    assert own_message in result.stderr or lightning_message in result.stderr, result.stderr
