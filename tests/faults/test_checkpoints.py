"""Training that was interrupted or killed continues from its checkpoint, with the same numbers."""

import os
import stat
from itertools import product

import pytest
import torch
from lightning.pytorch import Callback

from spotscape.model import _checkpoints, _training_identity
from spotscape.model._save_load import add_checksum

from .test_write import run
from .training import BATCH_SIZES, EPOCHS, MODELS, AtStep, answers, assert_same, new_model, stop, train

FILE = "training.ckpt"
all_models = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def unbroken():
    """What is learnt without an interruption, by model and batch size."""
    return {key: answers(train(new_model(key[0]), key[1])) for key in product(MODELS, BATCH_SIZES)}


@pytest.fixture
def stopped(tmp_path):
    """Folder with the checkpoint of a training of SPOTSCAPE that was stopped."""
    with pytest.raises(KeyboardInterrupt):
        train(new_model("SPOTSCAPE"), checkpoint_dir=tmp_path / "run", callbacks=[AtStep(7, stop)])
    return tmp_path / "run"


@all_models
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("share", [0.4, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.1, 0.7, 0.9))])
def test_stopped_and_continued_equals_unbroken(unbroken, tmp_path, name, batch_size, share):
    n_steps = EPOCHS * (1 if batch_size is None else 4)
    callback = AtStep(max(1, int(share * n_steps)), stop)
    with pytest.raises(KeyboardInterrupt):
        train(new_model(name), batch_size, checkpoint_dir=tmp_path, callbacks=[callback])
    model = train(new_model(name), batch_size, checkpoint_dir=tmp_path)
    assert_same(answers(model), unbroken[name, batch_size])
    assert not list(tmp_path.iterdir())


def test_the_same_model_continues_too(unbroken, tmp_path):
    model = new_model("SEDR")
    for step in (4, 9):
        with pytest.raises(KeyboardInterrupt, match=r"continues from .*training\.ckpt"):
            train(model, checkpoint_dir=str(tmp_path), callbacks=[AtStep(step, stop)])
    assert_same(answers(train(model, checkpoint_dir=tmp_path)), unbroken["SEDR", None])


def test_further_training_of_a_trained_model_continues(tmp_path):
    def twice_trained(**arguments):
        return train(train(new_model("SPOTSCAPE"), epochs=3), epochs=8, lr=1e-3, **arguments)

    with pytest.raises(KeyboardInterrupt):
        twice_trained(checkpoint_dir=tmp_path, callbacks=[AtStep(5, stop)])
    model = twice_trained(checkpoint_dir=tmp_path)
    assert len(model.history["train_loss"]) == 11
    assert_same(answers(model), answers(twice_trained()))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("SPOTSCAPE", {"early_stopping": True, "early_stopping_patience": 5, "lr": 1e-12, "prototype_warmup": 2}),
        ("SEDR", {"cluster_start": 4, "cluster_interval": 2, "cluster_tolerance": 0.02}),
        ("SEDR", {"train_size": 0.8, "validation_size": 0.2, "check_val_every_n_epoch": 2, "schedule": "constant"}),
    ],
)
def test_what_may_end_the_training_is_continued(tmp_path, name, arguments):
    expected = answers(train(new_model(name), epochs=20, **arguments))
    with pytest.raises(KeyboardInterrupt):
        train(new_model(name), epochs=20, checkpoint_dir=tmp_path, callbacks=[AtStep(6, stop)], **arguments)
    assert_same(answers(train(new_model(name), epochs=20, checkpoint_dir=tmp_path, **arguments)), expected)


# Continues a training again and again, killed after a given step or at random moments, and then lets it end.
KILLS = """
    import os, signal, sys, warnings
    from pathlib import Path
    import numpy as np
    from benchmarks.faults.kills import kill_after, seconds_of
    sys.path.insert(0, "tests/faults")
    from training import AtStep, new_model, train

    warnings.filterwarnings("ignore")
    name, folder, (batch_size, step, n_kills, epochs) = sys.argv[1], sys.argv[2], map(int, sys.argv[3:])
    model, draw, n_left = new_model(name), np.random.default_rng(0), 0

    def whole(**arguments):
        train(model, batch_size or None, epochs, **arguments)

    def kill_itself():
        whole(checkpoint_dir=folder, callbacks=[AtStep(step, lambda _: os.kill(os.getpid(), signal.SIGKILL))])

    seconds = seconds_of(whole) if n_kills else 0
    for _ in range(n_kills):
        kill_after(lambda: whole(checkpoint_dir=folder), draw.uniform(0.1, 0.5) * seconds)
        n_left += Path(folder, "training.ckpt").exists()
    if step:
        kill_after(kill_itself, 300)
        n_left += Path(folder, "training.ckpt").exists()
    assert n_left
    whole(checkpoint_dir=folder)
    same = train(new_model(name), batch_size or None, epochs)
    for key in same.history:
        assert same.history[key].equals(model.history[key]), key
    np.testing.assert_array_equal(model.get_latent_representation(), same.get_latent_representation())
    print("the same")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied on this system")
@pytest.mark.parametrize(
    ("name", "batch_size", "step", "n_kills", "epochs"),
    [
        ("SPOTSCAPE", 64, 30, 0, 12),
        *(
            pytest.param(name, size or 0, 0, 10, 60, marks=pytest.mark.slow)
            for name, size in product(MODELS, BATCH_SIZES)
        ),
    ],
)
def test_killed_and_continued_equals_unbroken(tmp_path, name, batch_size, step, n_kills, epochs):
    assert run(KILLS, name, tmp_path / "run", batch_size, step, n_kills, epochs).splitlines()[-1] == "the same"
    assert not list((tmp_path / "run").iterdir())


def test_training_again_after_the_end_trains_on(tmp_path):
    model = train(new_model("SPOTSCAPE"), epochs=3, checkpoint_dir=tmp_path)
    assert not list(tmp_path.iterdir())
    assert len(train(model, epochs=3, checkpoint_dir=tmp_path).history["train_loss"]) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 1e-3}, "its training argument `lr` is 0.0005, and here it is 0.001"),
        ({"epochs": 13}, "its training argument `max_epochs` is 12, and here it is 13"),
        ({"batch_size": 64}, "its training argument `batch_size` is 240, and here it is 64"),
        ({"precision": "bf16-mixed"}, "`precision` is not given, and here it is 'bf16-mixed'"),
    ],
)
def test_checkpoints_of_other_arguments_are_refused(stopped, change, message):
    model = new_model("SPOTSCAPE")
    with pytest.raises(ValueError, match="of another training: ") as error:
        train(model, checkpoint_dir=stopped, **change)
    assert message in str(error.value) and "pass another `checkpoint_dir`" in str(error.value)
    assert not model.is_trained and (stopped / FILE).exists()


def test_checkpoints_of_other_models_and_data_are_refused(stopped, monkeypatch):
    with pytest.raises(ValueError, match="it is of a SPOTSCAPE model, and this is a SEDR model"):
        train(new_model("SEDR"), checkpoint_dir=stopped)
    with pytest.raises(ValueError, match="its model argument `seed` is 0, and here it is 1"):
        train(new_model("SPOTSCAPE", seed=1), checkpoint_dir=stopped)
    other = new_model("SPOTSCAPE")
    other.adata.layers["counts"] = other.adata.layers["counts"][::-1].copy()
    with pytest.raises(ValueError, match="its data differ"):
        train(other, checkpoint_dir=stopped)
    with pytest.raises(ValueError, match="it started from other weights"):
        train(train(new_model("SPOTSCAPE"), epochs=2), checkpoint_dir=stopped)
    monkeypatch.setattr(_training_identity, "version", lambda name: "9.9")
    with pytest.raises(ValueError, match=r"it was written with .*, and 9\.9 is installed"):
        train(new_model("SPOTSCAPE"), checkpoint_dir=stopped)


def test_what_does_not_change_the_result_may_differ(stopped, unbroken):
    seen = []
    watch = AtStep(12, lambda plan: seen.append(plan.current_epoch))
    model = new_model("SPOTSCAPE")
    model.train(EPOCHS, checkpoint_dir=stopped, callbacks=[watch], simple_progress_bar=False)
    assert seen == [11]
    assert_same(answers(model), unbroken["SPOTSCAPE", None])


def test_damaged_checkpoints_are_named(stopped):
    whole = (stopped / FILE).read_bytes()
    for place in range(0, len(whole), len(whole) // 7):
        content = bytearray(whole)
        content[place] ^= 4
        (stopped / FILE).write_bytes(content)
        with pytest.raises(ValueError, match=r"training\.ckpt is damaged.*remove it to train from the start"):
            train(new_model("SPOTSCAPE"), checkpoint_dir=stopped)
    for length in (len(whole) // 2, 0):
        (stopped / FILE).write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"training\.ckpt is damaged or no checkpoint"):
            train(new_model("SPOTSCAPE"), checkpoint_dir=stopped)


class Code:
    def __reduce__(self):
        return (os.mkdir, ("was_run",))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (Code(), "could run code"),
        ([1], "no checkpoint of training"),
        ({"epoch": 1}, "no checkpoint of this package"),
        ({"epoch": 1, "spotscape": {"format_version": 99}}, "has format 99, but this release reads 1"),
    ],
)
def test_other_files_are_refused_and_run_no_code(tmp_path, monkeypatch, contents, message):
    monkeypatch.chdir(tmp_path)
    torch.save(contents, tmp_path / FILE)
    add_checksum(tmp_path / FILE)
    with pytest.raises(ValueError, match=message):
        train(new_model("SPOTSCAPE"), checkpoint_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


class Stateful(Callback):
    def state_dict(self):
        return {"mine": {1, Code}}


def test_a_callback_whose_state_could_not_be_read_is_refused_at_the_first_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="callback or plugin of yours has a state with Python objects"):
        train(new_model("SPOTSCAPE"), checkpoint_dir=tmp_path, callbacks=[Stateful()])
    assert not list(tmp_path.iterdir())


def test_a_full_disk_does_not_end_the_training(unbroken, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    model = new_model("SPOTSCAPE")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.warns(UserWarning, match=r"checkpoint was not written, and training continues: .*disk is full"):
            train(model, checkpoint_dir=tmp_path)
    assert_same(answers(model), unbroken["SPOTSCAPE", None])


def test_a_training_that_diverges_leaves_no_checkpoint(tmp_path):
    def spoil(plan):
        plan.module.reconstruction_weight = torch.nan

    with pytest.raises(RuntimeError, match=r"in epoch 7 of 12 \(terms that are not finite: their weighted sum\)"):
        train(new_model("SPOTSCAPE"), checkpoint_dir=tmp_path, callbacks=[AtStep(6, spoil)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [(3, TypeError, "`checkpoint_dir` is 3; pass the path"), ("file", ValueError, "'file', which is a file")],
)
def test_wrong_folders_are_refused(tmp_path, monkeypatch, given, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(error, match=message):
        train(new_model("SPOTSCAPE"), checkpoint_dir=given)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_read_only_folder_is_refused_before_training(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(OSError, match="the folder is read-only"):
            train(new_model("SPOTSCAPE"), checkpoint_dir=tmp_path)
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_checkpoint_is_written_after_each_twentieth(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(_checkpoints, "add_checksum", lambda path: written.append(path))
    monkeypatch.setattr(_checkpoints, "_check_readable", lambda path: None)
    train(new_model("SPOTSCAPE"), epochs=21, checkpoint_dir=tmp_path)
    assert len(written) == 10
