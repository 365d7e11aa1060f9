"""Training on two processes that end suddenly continues from its checkpoint, with the same numbers."""

import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import os, sys
import numpy as np
from lightning.pytorch import Callback
import spotscape

class End(Callback):
    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 7:
            os._exit(3)

def main(kind):
    adata = spotscape.datasets.synthetic_tissue(n_slices=3, n_spots=200, n_genes=80, n_domains=4, seed=0)
    spotscape.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = spotscape.SPOTSCAPE(adata, n_hidden=32, n_latent=16, n_prototypes=(4, 6), n_anchors=200)
    model.train(
        12, batch_size=200, accelerator="cpu", devices=2, strategy="ddp", enable_progress_bar=False,
        checkpoint_dir=None if kind == "whole" else "checkpoint", callbacks=[End()] if kind == "ended" else [],
    )
    if model.trainer.is_global_zero:
        loss = model.history["train_loss"].to_numpy(dtype=float)
        np.savez(f"{kind}.npz", latent=model.get_latent_representation(), loss=loss)

if __name__ == "__main__":
    main(sys.argv[1])
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes need two cores")
def test_two_processes_continue_as_if_they_had_not_ended(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COV_", "PYTEST_"))}

    def run(kind):
        command = [sys.executable, "-W", "ignore", "train.py", kind]
        environment["OMP_NUM_THREADS"] = "1"
        return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=environment)

    assert run("ended").returncode != 0
    assert (tmp_path / "checkpoint" / "training.ckpt").exists()
    for kind in ("continued", "whole"):
        assert run(kind).returncode == 0
    assert not list((tmp_path / "checkpoint").iterdir())
    continued, whole = (np.load(tmp_path / f"{kind}.npz") for kind in ("continued", "whole"))
    for name in ("latent", "loss"):
        np.testing.assert_array_equal(continued[name], whole[name])
