"""A small saved model, trained once."""

import shutil

import pytest

from benchmarks.faults.models import small_model, small_tissue


@pytest.fixture(scope="session")
def model():
    """A small trained model."""
    return small_model("SPOTSCAPE", small_tissue())


@pytest.fixture(scope="session")
def _saved_once(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    model.save(folder)
    return folder


@pytest.fixture
def saved(_saved_once, tmp_path):
    """Folder of the saved model, which a test may change."""
    shutil.copytree(_saved_once, tmp_path / "model")
    return tmp_path / "model"
