"""The bar of training: on standard error, in terminals and notebooks, and nowhere else."""

import sys
from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import TQDMProgressBar
from scvi.train._progress import ProgressBar

from spotscape import SPOTSCAPE
from spotscape._bars import progress_bar
from spotscape.datasets import synthetic_tissue


@pytest.fixture
def model():
    adata = synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    SPOTSCAPE.setup_anndata(adata, layer="counts")
    return SPOTSCAPE(adata, n_hidden=8, n_latent=4)


def as_terminal(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def as_notebook(monkeypatch):
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def test_log_files_and_pipes_get_no_bar(model, capsys):
    model.train(3)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("watched", [as_terminal, as_notebook])
def test_who_watches_sees_the_bar_on_standard_error(model, capsys, monkeypatch, watched):
    watched(monkeypatch)
    model.train(3)
    out, err = capsys.readouterr()
    assert out == "" and "Epoch 3/3: 100%" in err and "train_loss" in err


@pytest.mark.parametrize("settings", [{"enable_progress_bar": False}, {"progress_bar_refresh_rate": 0}])
def test_it_can_be_turned_off(model, capsys, monkeypatch, settings):
    as_terminal(monkeypatch)
    model.train(3, **settings)
    assert "Epoch" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("settings", [{"simple_progress_bar": False}, {"callbacks": [TQDMProgressBar()]}])
def test_another_bar_takes_its_place(model, settings):
    model.train(2, **settings)
    bars = [type(callback) for callback in model.trainer.callbacks if "ProgressBar" in type(callback).__name__]
    assert len(bars) == 1 and not issubclass(bars[0], ProgressBar)


def test_a_bar_without_standard_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert list(progress_bar(range(3))) == [0, 1, 2]
