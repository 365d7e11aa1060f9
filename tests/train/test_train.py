"""Training plan and callbacks, tested without a model."""

from types import SimpleNamespace

import pytest
import torch

from spotscape.module import SpotscapeModule
from spotscape.train import PrototypeWarmup, ScheduledTrainingPlan, StopAtPlateau


def stopped_at(losses, **arguments):
    callback = StopAtPlateau(**arguments)
    trainer = SimpleNamespace(should_stop=False)
    for epoch, loss in enumerate(losses):
        trainer.current_epoch, trainer.callback_metrics = epoch, {"train_loss": torch.tensor(loss)}
        callback.on_train_epoch_end(trainer, None)
        if trainer.should_stop:
            return epoch
    return None


def test_training_continues_while_the_loss_decreases():
    assert stopped_at([1 / (i + 1) for i in range(100)], patience=5) is None


def test_training_stops_on_a_plateau_after_the_patience():
    assert stopped_at([1.0] * 100, patience=7) == 7


def test_noise_of_the_loss_is_smoothed():
    falling_with_noise = [1 - 0.005 * i + 0.2 * (-1) ** i for i in range(100)]
    assert stopped_at(falling_with_noise, patience=8) is None
    assert stopped_at(falling_with_noise, patience=1, smoothing=0.0) is not None


def test_losses_before_the_start_epoch_are_ignored():
    # The loss jumps when the prototypes are switched on at epoch 20.
    assert stopped_at([0.5] * 20 + [1.0] * 40, patience=5, start_epoch=20) == 25


def test_warm_up_sets_the_argument_of_the_loss():
    plan = SimpleNamespace(loss_kwargs={})
    callback = PrototypeWarmup(3)
    seen = []
    for epoch in range(6):
        callback.on_train_epoch_start(SimpleNamespace(current_epoch=epoch), plan)
        seen.append(plan.loss_kwargs["use_prototypes"])
    assert seen == [False, False, False, True, True, True]


@pytest.mark.parametrize("schedule", ["one-cycle", "constant"])
def test_schedule(schedule):
    plan = ScheduledTrainingPlan(SpotscapeModule(5), lr=0.01, schedule=schedule)
    plan._trainer = SimpleNamespace(estimated_stepping_batches=100)
    configuration = plan.configure_optimizers()
    optimizer = configuration["optimizer"]
    assert optimizer.param_groups[0]["eps"] == 1e-8
    rates = []
    for _ in range(99):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule == "one-cycle":
            configuration["lr_scheduler"]["scheduler"].step()
    if schedule == "constant":
        assert set(rates) == {0.01} and "lr_scheduler" not in configuration
    else:
        assert max(rates) == pytest.approx(0.01) and 8 <= rates.index(max(rates)) <= 10 and rates[-1] < 1e-4
