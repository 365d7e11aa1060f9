"""A model whose training fails or is interrupted stays as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spotscape.module._base import SeededModule

if TYPE_CHECKING:
    from spotscape.model._base import LatentModel


@contextmanager
def unchanged_on_error(model: "LatentModel") -> Iterator[None]:
    """Put a model back into its present state if the block raises an error or is interrupted.

    That is its weights, what was computed from them (calibration, novelty, clusters), its history and its device.

    Parameters
    ----------
    model
        Model that the block trains.
    """
    module = model.module
    attributes = _attributes(model)
    weights = {name: value.detach().clone() for name, value in module.state_dict().items()}
    steps = module.get_training_state() if isinstance(module, SeededModule) else None
    was_training, device = module.training, _device(module)
    try:
        yield
    except BaseException:
        # First of all, so that the model gives no answers if this is interrupted, too.
        model.is_trained_ = False
        module.load_state_dict(weights)
        if steps is not None:
            module.set_training_state(steps)
        module.train(was_training)
        module.zero_grad(set_to_none=True)
        if device is not None:
            module.to(device)
        for name in model.__dict__.keys() - attributes.keys():
            del model.__dict__[name]
        is_trained = attributes.pop("is_trained_")
        model.__dict__.update(attributes)
        model.is_trained_ = is_trained
        raise


def _attributes(model: "LatentModel") -> dict[str, Any]:
    attributes = dict(model.__dict__)
    # scvi-tools adds to this dictionary when a trained model is trained again.
    if isinstance(attributes.get("history_"), dict):
        attributes["history_"] = dict(attributes["history_"])
    return attributes


def _device(module: Any) -> Any:
    return next((weight.device for weight in module.parameters()), None)
