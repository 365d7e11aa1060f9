"""Saved models survive kills, flipped bits, full disks and folders that cannot be written to."""

import json
import os
import re
import stat

import numpy as np
import pytest
import torch

from benchmarks.faults.models import outcomes_of_flips, small_model, small_tissue
from spotscape import SPOTSCAPE

from .test_write import run

# Replaces a saved model and its data, killed before some of the changes to the file system, and prints what is loaded.
KILLS = """
    import json, shutil, sys, warnings
    from pathlib import Path
    import anndata, scvi
    from benchmarks.faults.kills import kill_after, kill_before_change, seconds_of
    from benchmarks.faults.models import outcome_of_load, small_model, small_tissue
    from spotscape import SPOTSCAPE

    warnings.filterwarnings("ignore")
    folder, n_random, every = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    models = {name: small_model("SPOTSCAPE", small_tissue(), seed) for seed, name in enumerate(["old", "new"])}
    known = {name: model.get_latent_representation() for name, model in models.items()}
    for name, model in models.items():
        model.adata.obs["version"] = name

    def prepare():
        shutil.rmtree(folder, ignore_errors=True)
        models["old"].save(folder, save_anndata=True)

    def replace():
        models["new"].save(folder, overwrite=True, save_anndata=with_data)

    def outcome():
        version = anndata.read_h5ad(folder / "adata.h5ad").obs["version"].unique().tolist()
        return [outcome_of_load(SPOTSCAPE, folder, known), *version]

    found = {}
    for with_data in (False, True):
        found[str(with_data)] = outcomes = []
        if n_random:
            prepare()
            seconds = seconds_of(replace)
            for number in range(n_random):
                prepare()
                kill_after(replace, 1.2 * seconds * number / n_random)
                outcomes.append(outcome())
            continue
        for number in range(1, 300, every):
            prepare()
            killed = kill_before_change(replace, number)
            outcomes.append(outcome())
            if not killed:
                break
    print("\\n" + json.dumps(found))
"""


def check_kills(tmp_path, n_random, every):
    found = json.loads(run(KILLS, tmp_path / "model", n_random, every).splitlines()[-1])
    kinds = {name: {tuple(outcome) for outcome in outcomes} for name, outcomes in found.items()}
    # Without data, the old data stay beside the new model, about which `save` warns.
    assert kinds["False"] <= {("old", "old"), ("new", "old")}
    assert kinds["True"] <= {("old", "old"), ("new", "new")}
    return kinds


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied on this system")
@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_before_any_change_leaves_the_old_or_the_new_model(tmp_path, every):
    kinds = check_kills(tmp_path, 0, every)
    assert all(len(outcomes) == 2 for outcomes in kinds.values())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied on this system")
def test_fifty_kills_at_any_time_leave_the_old_or_the_new_model(tmp_path):
    check_kills(tmp_path, 50, 1)


@pytest.mark.parametrize("n_flips", [6, pytest.param(40, marks=pytest.mark.slow)])
def test_flipped_bits_are_found(model, n_flips):
    found = outcomes_of_flips(model, n_flips, seed=1)
    assert found.total() == n_flips and set(found) <= {"damaged", "same"}
    assert found["damaged"] > n_flips / 2


def test_a_damaged_file_is_named(saved):
    content = bytearray((saved / "model.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (saved / "model.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.pt is damaged.*save it again"):
        SPOTSCAPE.load(saved, adata=False)
    with pytest.raises(ValueError, match="damaged"):
        SPOTSCAPE.load(saved, adata=False, allow_pickle=True)


def test_files_without_a_checksum_are_read(model, saved):
    torch.save(torch.load(saved / "model.pt", weights_only=False), saved / "model.pt")
    loaded = SPOTSCAPE.load(saved, adata=small_tissue())
    np.testing.assert_array_equal(loaded.get_latent_representation(), model.get_latent_representation())


def test_other_programs_read_files_with_a_checksum(saved):
    assert torch.load(saved / "model.pt", weights_only=False).keys() == {"model_state_dict", "var_names", "attr_dict"}


def test_weights_that_do_not_fit_are_refused(saved):
    contents = torch.load(saved / "model.pt", weights_only=False)
    name = next(name for name, value in contents["model_state_dict"].items() if getattr(value, "ndim", 0) == 2)
    for change in (torch.zeros(3, 3), torch.full_like(contents["model_state_dict"][name], torch.nan)):
        changed = contents | {"model_state_dict": contents["model_state_dict"] | {name: change}}
        torch.save(changed, saved / "model.pt")
        with pytest.raises(ValueError, match="damaged"):
            SPOTSCAPE.load(saved, adata=False)


def full(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("with_data", [False, True])
def test_a_full_disk_leaves_the_old_model(model, saved, monkeypatch, with_data):
    before = (saved / "model.pt").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"could not be written \(the disk is full\)"):
            small_model("SPOTSCAPE", small_tissue(), seed=1).save(saved, overwrite=True, save_anndata=with_data)
    assert (saved / "model.pt").read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    assert [path.name for path in saved.iterdir()] == ["model.pt"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_read_only_folder_leaves_the_old_model(model, saved):
    saved.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(OSError, match="could not be written"):
            model.save(saved, overwrite=True)
    finally:
        saved.chmod(stat.S_IRWXU)
    SPOTSCAPE.load(saved, adata=False)


def test_other_files_in_the_folder_are_kept(model, saved):
    (saved / "notes.txt").write_text("mine")
    model.save(saved, overwrite=True, save_anndata=True)
    assert sorted(path.name for path in saved.iterdir()) == ["adata.h5ad", "model.pt", "notes.txt"]
    with pytest.warns(UserWarning, match=r"adata\.h5ad was not saved with this model"):
        model.save(saved, overwrite=True)
    model.save(saved, prefix="second_", overwrite=True)
    assert (saved / "second_model.pt").exists() and (saved / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dir_path": None}, TypeError, "`dir_path` is None; pass the path of a folder"),
        ({"dir_path": ""}, TypeError, "`dir_path` is ''"),
        ({"prefix": "../a"}, ValueError, "`prefix` is '../a'"),
        ({"prefix": 3}, TypeError, "`prefix` is 3"),
        ({"overwrite": "no"}, TypeError, "`overwrite` is 'no'"),
        ({"save_anndata": 1}, TypeError, "`save_anndata` is 1"),
        ({"foo": 1}, TypeError, "`save` has no argument 'foo'"),
    ],
)
def test_wrong_arguments_are_refused(model, tmp_path, monkeypatch, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=re.escape(message)):
        model.save(**{"dir_path": "model"} | arguments)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_the_folder_is_refused(model, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="file is a file; pass the path of a folder"):
        model.save(tmp_path / "file", overwrite=True)
    with pytest.raises(OSError, match="could not be written"):
        model.save(tmp_path / "file" / "model")
    assert (tmp_path / "file").read_text() == "mine"
