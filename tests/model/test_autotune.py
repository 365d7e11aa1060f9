"""Tuning of hyperparameters by scvi-tools."""

import numpy as np
import pytest
from lightning.pytorch import Callback
from scvi.train import ScibCallback

from spotscape import AESTETIK, SEDR, SPOTSCAPE
from spotscape.datasets import synthetic_tissue

MODELS = pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR, AESTETIK])


class Reader(Callback):
    """Reads what the callback of scvi-tools reads, at the end of the training or of each validation."""

    def __init__(self, stage):
        self.stage, self.found = stage, []

    def on_train_end(self, trainer, pl_module):
        if self.stage == "training":
            self.read(trainer)

    def on_validation_end(self, trainer, pl_module):
        if self.stage == "validation" and not trainer.sanity_checking:
            self.read(trainer)

    def read(self, trainer):
        plan = trainer.callbacks[0].pl_module
        outputs = getattr(plan, f"_{self.stage}_epoch_outputs")
        self.found.append({name: outputs[name].numpy() for name in ("z", "batch", "labels")})


@pytest.fixture
def annotated():
    adata = synthetic_tissue(n_slices=2, n_spots=60, n_genes=40, n_domains=3, seed=0)
    adata.obs.loc[adata.obs_names[:10], "domain"] = None
    return adata


@MODELS
@pytest.mark.parametrize("stage", ["training", "validation"])
def test_scib_metrics_see_the_latent_representation(annotated, model_class, stage):
    model_class.setup_anndata(annotated, slice_key="slice", labels_key="domain")
    model = model_class(annotated, n_latent=4, extra_payload_autotune=True)
    reader = Reader(stage)
    sizes = {} if stage == "training" else {"train_size": 0.8, "check_val_every_n_epoch": 1}
    model.train(3, callbacks=[ScibCallback(), reader], enable_progress_bar=False, **sizes)
    assert len(reader.found) == (1 if stage == "training" else 3)
    found = reader.found[-1]
    np.testing.assert_array_equal(found["batch"], np.repeat([0, 1], 60)[10:])
    domains = annotated.obs["domain"][10:].astype(str).to_numpy()
    assert len({*zip(domains, found["labels"], strict=True)}) == 3
    np.testing.assert_allclose(found["z"], model.get_latent_representation()[10:], atol=1e-5)
    if stage == "validation":
        assert np.abs(reader.found[0]["z"] - found["z"]).max() > 1e-6


@MODELS
def test_reading_does_not_change_the_training(annotated, model_class):
    model_class.setup_anndata(annotated, slice_key="slice", labels_key="domain")
    latents = []
    for callbacks in ([], [ScibCallback(), Reader("validation")]):
        model = model_class(annotated, n_latent=4, extra_payload_autotune=bool(callbacks))
        model.train(3, callbacks=callbacks, train_size=0.8, check_val_every_n_epoch=1, enable_progress_bar=False)
        latents.append(model.get_latent_representation())
    np.testing.assert_array_equal(*latents)


def test_annotations_are_needed_and_checked(annotated):
    SPOTSCAPE.setup_anndata(annotated, slice_key="slice")
    model = SPOTSCAPE(annotated, extra_payload_autotune=True)
    with pytest.raises(ValueError, match="name their column in `labels_key`"):
        model.train(1, enable_progress_bar=False)
    with pytest.raises(KeyError, match="`labels_key` is 'layer', which is not in `adata.obs`"):
        SPOTSCAPE.setup_anndata(annotated, slice_key="slice", labels_key="layer")
    with pytest.raises(TypeError, match="`extra_payload_autotune` is 'yes'"):
        SPOTSCAPE(annotated, extra_payload_autotune="yes")


def test_new_sections_need_no_annotations(annotated, tmp_path):
    SPOTSCAPE.setup_anndata(annotated, slice_key="slice", labels_key="domain")
    model = SPOTSCAPE(annotated, n_latent=4)
    model.train(2, enable_progress_bar=False)
    new = synthetic_tissue(n_slices=1, n_spots=50, n_genes=40, n_domains=3, seed=0)
    del new.obs["domain"]
    assert model.get_latent_representation(new).shape == (50, 4)
    model.save(tmp_path / "model")
    assert SPOTSCAPE.load(tmp_path / "model", adata=new).is_trained


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_hyperparameters_are_tuned(annotated, tmp_path):
    pytest.importorskip("ray")
    from ray import tune
    from scvi.autotune import run_autotune

    annotated.obs["domain"] = annotated.obs["domain"].astype(object).fillna("none").astype("category")
    SPOTSCAPE.setup_anndata(annotated, slice_key="slice", labels_key="domain")
    experiment = run_autotune(
        SPOTSCAPE,
        annotated,
        metrics=["Silhouette label"],
        mode="max",
        search_space={
            "model_params": {"n_latent": tune.choice([4, 8])},
            "train_params": {"max_epochs": 2},
        },
        num_samples=2,
        resources={"cpu": 1},
        ignore_reinit_error=True,
        scib_subsample_rows=100,
        # That of scvi-tools fails on the zeros that it passes to scib-metrics as expression.
        solver="randomized",
        logging_dir=str(tmp_path),
    )
    results = experiment.result_grid
    assert len(results) == 2 and not results.errors
    assert all(np.isfinite(result.metrics["Silhouette label"]) for result in results)
