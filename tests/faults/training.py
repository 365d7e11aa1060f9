"""Small models that are not trained yet, and a training that is stopped at a given step."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import Callback

import spotscape as sps

MODELS = ("SPOTSCAPE", "SEDR", "AESTETIK")
#: Twelve epochs; half of the training is with all terms of the loss.
EPOCHS = 12
#: One batch an epoch, and four batches of patches (of spots for AESTETIK) an epoch.
BATCH_SIZES = (None, 64)


def new_model(name: str, seed: int = 0, **arguments: Any) -> Any:
    """Model that is not trained, of data that are made anew."""
    adata = sps.datasets.synthetic_modalities(n_slices=2, n_spots=120, n_genes=60, seed=0)
    model_class = getattr(sps, name)
    if name == "AESTETIK":
        model_class.setup_anndata(adata, rna_key="counts", image_key="X_image", slice_key="slice")
        given: dict[str, Any] = {"n_clusters": 4, "image_weight": 0.5}
    else:
        model_class.setup_anndata(adata, layer="counts", slice_key="slice")
        # Without a random state that has to be restored, the tests would show less.
        given = {"n_prototypes": (3, 5)} if name == "SPOTSCAPE" else {"n_clusters": 3, "dropout_rate": 0.2}
    return model_class(adata, seed=seed, **given | arguments)


def train(model: Any, batch_size: int | None = None, epochs: int = EPOCHS, **arguments: Any) -> Any:
    """Train without a progress bar, and return the model."""
    model.train(epochs, batch_size=batch_size, enable_progress_bar=False, **arguments)
    return model


class AtStep(Callback):
    """Calls a function after a training step."""

    def __init__(self, step: int, action: Any):
        self.step = step
        self.action = action

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Call the function if it is that step."""
        if trainer.global_step == self.step:
            self.action(pl_module)


def stop(_: Any) -> None:
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


def answers(model: Any) -> dict[str, Any]:
    """All that a trained model has learnt, and some of what it answers."""
    names = ("novelty_reference_", "count_calibration_", "cluster_model_", "train_indices_")
    found = {name: getattr(model, name) for name in names if hasattr(model, name)}
    return found | {
        "weights": {name: value.clone() for name, value in model.module.state_dict().items()},
        "steps": model.module.get_training_state(),
        "history": {name: frame.copy() for name, frame in model.history.items()},
        "latent": model.get_latent_representation(),
        "novelty": model.get_novelty(),
    }


def assert_same(first: Any, second: Any) -> None:
    """Raise unless two results agree in every bit."""
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for name in first:
            assert_same(first[name], second[name])
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif isinstance(first, pd.DataFrame):
        pd.testing.assert_frame_equal(first, second, check_exact=True)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    else:
        np.testing.assert_array_equal(first, second)
