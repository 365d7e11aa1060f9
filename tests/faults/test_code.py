"""No function that reads a model runs code from the file."""

import pickle

import numpy as np
import pytest
import torch

from benchmarks.faults.models import small_tissue
from benchmarks.faults.payloads import KINDS, Payload, doors, outcome_of_door, write_payload
from spotscape import SPOTSCAPE
from spotscape.model import _save_load


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("kind", KINDS)
def test_files_with_code_are_refused_everywhere(saved, tmp_path, kind):
    flag, bad = tmp_path / "flag", tmp_path / "bad"
    write_payload(kind, saved / "model.pt", bad / "model.pt", flag)
    found = {name: outcome_of_door(call, flag) for name, call in doors(SPOTSCAPE, bad)}
    assert found == dict.fromkeys(found, "refused") and len(found) == 7
    # What was downloaded and refused is not kept.
    assert not (bad / "none").exists()


def test_the_open_door_runs_code(saved, tmp_path):
    flag = tmp_path / "flag"
    write_payload("attribute", saved / "model.pt", tmp_path / "bad" / "model.pt", flag)
    SPOTSCAPE.load(tmp_path / "bad", adata=False, allow_pickle=True)
    assert flag.exists()


def test_the_file_is_read_once(saved, tmp_path, monkeypatch):
    flag = tmp_path / "flag"
    write_payload("attribute", saved / "model.pt", tmp_path / "bad" / "model.pt", flag)
    read = _save_load.read_model_file

    def swapped(path, **arguments):
        contents = read(path, **arguments)
        (tmp_path / "bad" / "model.pt").replace(path)
        return contents

    monkeypatch.setattr(_save_load, "read_model_file", swapped)
    SPOTSCAPE.load(saved, adata=False)
    assert not flag.exists()


def test_registry_and_setup_arguments_of_good_files(saved, capsys):
    assert SPOTSCAPE.load_registry(saved)["setup_args"]["layer"] == "counts"
    SPOTSCAPE.view_setup_args(saved)
    assert "'layer': 'counts'" in capsys.readouterr().out


def test_training_reads_no_history_from_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flag, adata = tmp_path / "flag", small_tissue()
    SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = SPOTSCAPE(adata, n_hidden=8, n_latent=4, n_prototypes=(3,))
    path = tmp_path / "history.pkl"
    path.write_bytes(pickle.dumps(Payload(flag)))

    from scvi.train._logger import SimpleLogger

    class PlantedLogger(SimpleLogger):
        """Has logged nothing, as in the processes that are not the first."""

        history_path = str(path)
        history = property(lambda self: {})

    model.train(1, enable_progress_bar=False, logger=PlantedLogger())
    assert not flag.exists()


def test_checkpoints_are_refused(saved):
    model = SPOTSCAPE.load(saved, adata=small_tissue())
    with pytest.raises(ValueError, match="`ckpt_path` is 'some.ckpt'"):
        model.train(1, ckpt_path="some.ckpt")


@pytest.mark.parametrize("entry", ["registry_", "init_params_"])
def test_files_without_a_necessary_entry_are_damaged(saved, entry):
    contents = torch.load(saved / "model.pt", weights_only=False)
    del contents["attr_dict"][entry]
    torch.save(contents, saved / "model.pt")
    with pytest.raises(ValueError, match="damaged"):
        SPOTSCAPE.load(saved, adata=False)


def test_downloads_that_fail_are_explained(tmp_path):
    with pytest.raises(ValueError, match="cannot be downloaded from"):
        SPOTSCAPE.load(tmp_path / "new", adata=False, backup_url=(tmp_path / "none.pt").as_uri())
    assert not (tmp_path / "new").exists()


def test_arrays_with_code_in_the_image_cache_are_not_read(tmp_path):
    from spotscape.pp.image._cache import FeatureCache

    array = np.empty(1, dtype=object)
    array[0] = Payload(tmp_path / "flag")
    np.savez(tmp_path / "key.npz", features=array)
    with pytest.warns(UserWarning, match="is damaged; its features are computed again"):
        assert FeatureCache(tmp_path).read("key", 1) is None
    assert not (tmp_path / "flag").exists()
