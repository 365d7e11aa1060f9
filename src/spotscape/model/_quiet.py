"""What libraries report during a training, and users do not need."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("lightning.pytorch.utilities.rank_zero", "scvi.data._download")
_KEPT_BACK = (
    "GPU available:",
    "TPU available:",
    "HPU available:",
    "💡 Tip:",
    "Loading `train_dataloader`",
    "`Trainer.fit` stopped: `max_epochs=",
    "You are using a CUDA device",
    "already downloaded",
)


def _is_of_use(record: logging.LogRecord) -> bool:
    # Warnings are of use whatever they say.
    return record.levelno > logging.INFO or not any(text in record.getMessage() for text in _KEPT_BACK)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep back advertisements and remarks on devices. Everything else is reported as the user has set it."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(_is_of_use)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_of_use)
