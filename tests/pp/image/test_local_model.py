"""Local models, with mocks of timm and transformers, so that nothing has to be installed or downloaded."""

import json
import sys
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pytest
import torch
from torch import nn

import spotscape.pp as pp
from spotscape.pp.image._local_model import input_size, load_local_model


class MeanColor(nn.Module):
    """Mean colour times weights, which are zero until they are loaded."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(3))

    def forward(self, tiles):
        return tiles.mean(dim=(2, 3)) * self.gain


@pytest.fixture
def timm(monkeypatch):
    """A mock that records its calls."""
    asked = []

    def create_model(architecture, **arguments):
        asked.append((architecture, arguments))
        return MeanColor()

    module = SimpleNamespace(asked=asked, create_model=create_model)
    monkeypatch.setitem(sys.modules, "timm", module)
    return module


@pytest.fixture
def folder(tmp_path):
    """A model as timm saves it, with the weights of a classification head."""
    colors = {"input_size": [3, 24, 24], "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    config = {"architecture": "small", "num_classes": 10, "pretrained_cfg": colors, "model_args": {"depth": 2}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save({"gain": torch.full((3,), 3.0), "head.weight": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    return tmp_path


@pytest.fixture
def tiles():
    return np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3)).astype(np.uint8)


def test_models_of_timm(timm, folder, tiles):
    found = load_local_model(folder)(tiles)
    np.testing.assert_allclose(found, 3 * (tiles.mean(axis=(1, 2)) / 255 - 0.5) / 0.25, rtol=1e-4, atol=1e-4)
    assert timm.asked == [("small", {"depth": 2, "pretrained": False, "num_classes": 0})]
    assert input_size(folder) == 24


@pytest.mark.parametrize("pooled", [True, False])
def test_models_of_transformers(monkeypatch, tmp_path, tiles, pooled):
    class Network(nn.Module):
        def forward(self, colors):
            tokens = torch.stack([colors.mean(dim=(2, 3)), torch.zeros(len(colors), 3)], dim=1)
            return SimpleNamespace(pooler_output=tokens[:, 0] + 1 if pooled else None, last_hidden_state=tokens)

    asked = []
    network = SimpleNamespace(from_pretrained=lambda path, **given: asked.append((path, given)) or Network())
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(AutoModel=network))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "dinov2", "image_size": 24}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0, 0, 0], "image_std": [1, 1, 1]}))
    found = load_local_model(tmp_path)(tiles)
    np.testing.assert_allclose(found, tiles.mean(axis=(1, 2)) / 255 + pooled, rtol=1e-4)
    assert asked == [(str(tmp_path), {"local_files_only": True, "trust_remote_code": False})]
    assert input_size(tmp_path) == 24


def test_features_of_a_model_in_an_anndata(timm, folder):
    rng = np.random.default_rng(0)
    data = ad.AnnData(np.ones((20, 1), dtype=np.float32), obsm={"spatial": rng.uniform(30, 70, (20, 2))})
    image = rng.integers(0, 256, (100, 100, 3)).astype(np.uint8)
    pp.image_features(data, method=folder, image=image, tile_size=24)
    assert data.obsm["X_image"].shape == (20, 6)
    assert data.uns["X_image"]["n_pixels"] == 24 and data.uns["X_image"]["model"] == str(folder)
    assert list(data.uns["X_image"]["names"][2:4]) == ["feature 2 (1x)", "feature 0 (2x)"]


def test_missing_packages_name_the_extra(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r'needs timm; run: pip install "spotscape\[foundation\]"'):
        load_local_model(folder)


def remove_weights(folder):
    (folder / "pytorch_model.bin").unlink()


def damage_weights(folder):
    (folder / "pytorch_model.bin").write_bytes(b"no weights")


def weights_of_another(folder):
    torch.save({"other": torch.ones(3)}, folder / "pytorch_model.bin")


def weights_of_another_size(folder):
    torch.save({"gain": torch.ones(5)}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_weights, "has no model.safetensors or pytorch_model.bin"),
        (damage_weights, "are damaged or contain objects other than tensors"),
        (weights_of_another, "do not match its config.json .1 missing, such as 'gain'"),
        (weights_of_another_size, "do not match its config.json"),
    ],
)
def test_weights_that_do_not_match_are_refused(timm, folder, change, message):
    change(folder)
    with pytest.raises(ValueError, match=message):
        load_local_model(folder)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "no readable config.json"), ("[]", "has neither `architecture`"), ("{}", "has neither")]
)
def test_folders_without_a_known_model_are_refused(folder, text, message):
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        input_size(folder)
