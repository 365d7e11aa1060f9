"""A training that is interrupted or fails leaves the model as it was."""

import os
import signal

import pytest
import torch

from spotscape import SPOTSCAPE, nn

from .training import MODELS, AtStep, answers, assert_same, new_model, stop, train

all_models = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def trained():
    """Each model, trained once; tests must leave it as it is."""
    return {name: train(new_model(name), epochs=4) for name in MODELS}


@all_models
@pytest.mark.parametrize("step", [1, 3, 6])
def test_a_trained_model_stays_as_it_was(trained, name, step):
    model = trained[name]
    before = answers(model)
    with pytest.raises(KeyboardInterrupt, match=f"interrupted in epoch {step} of 6: the model is as it was before"):
        train(model, epochs=6, lr=0.01, callbacks=[AtStep(step, stop)])
    assert model.is_trained
    assert_same(answers(model), before)


@all_models
def test_a_new_model_stays_untrained_and_says_so(name, capsys):
    model = new_model(name)
    with pytest.raises(KeyboardInterrupt, match="in epoch 2 of 4: the model is not trained"):
        train(model, epochs=4, callbacks=[AtStep(2, stop)])
    assert not model.is_trained and model.history is None
    with pytest.raises(RuntimeError, match=r"not.*trained|train the model"):
        model.get_latent_representation()
    capsys.readouterr()
    repr(model)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Not Trained; the last training was interrupted in epoch 2 of 4" in shown
    assert "not trained; the last training was interrupted in epoch 2 of 4" in model._repr_html_()
    # What is trained afterwards is what would have been trained without the interruption.
    train(model, epochs=4)
    assert "interrupted" not in model._repr_html_() + model.summary_string
    assert_same(answers(model), answers(train(new_model(name), epochs=4)))


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to a process alone on this system")
def test_ctrl_c_raises_keyboard_interrupt(capsys):
    model = new_model("SPOTSCAPE")
    # Processes that a script starts in the background ignore Ctrl-C, and so do the tests in them.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt, match="Training was interrupted in epoch"):
            train(model, callbacks=[AtStep(3, lambda _: os.kill(os.getpid(), signal.SIGINT))])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert "NameError" not in capsys.readouterr().out


def test_an_interruption_after_the_last_step_counts_too(trained, monkeypatch):
    model = trained["SPOTSCAPE"]
    before = answers(model)
    with monkeypatch.context() as patch:
        patch.setattr(SPOTSCAPE, "_fit_count_calibration", stop_with_arguments)
        with pytest.raises(KeyboardInterrupt):
            train(model, epochs=3)
    assert_same(answers(model), before)


def stop_with_arguments(*_):
    raise KeyboardInterrupt


def test_errors_of_callbacks_are_raised_and_change_nothing(trained):
    model = trained["SEDR"]
    before = answers(model)

    def fail(_):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        train(model, epochs=6, callbacks=[AtStep(4, fail)])
    assert "ended by an error in epoch 4 of 6; the model is as it was before" in model._repr_html_()
    assert_same(answers(model), before)


def test_a_loss_that_is_not_finite_is_named_and_changes_nothing(trained, monkeypatch):
    model = trained["SPOTSCAPE"]
    before, telescope = answers(model), nn.similarity_telescope_loss
    n_calls = 0

    def third_is_nan(*arguments, **further):
        nonlocal n_calls
        n_calls += 1
        return telescope(*arguments, **further) * (torch.nan if n_calls == 3 else 1)

    monkeypatch.setattr(nn, "similarity_telescope_loss", third_is_nan)
    with pytest.raises(RuntimeError, match=r"became nan in epoch 3 of 6 \(terms that are not finite: telescope\)"):
        train(model, epochs=6)
    assert_same(answers(model), before)


def test_weights_that_the_last_step_spoils_are_noticed(trained):
    model = trained["AESTETIK"]
    before = answers(model)

    def spoil(plan):
        with torch.no_grad():
            next(plan.module.parameters()).fill_(torch.inf)

    with pytest.raises(RuntimeError, match="weights became infinite or NaN in the last training step"):
        train(model, epochs=3, callbacks=[AtStep(3, spoil)])
    assert_same(answers(model), before)
