"""Runner of scvi-tools that reads no pickled files, and lets Ctrl-C through."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from scvi.train import TrainRunner


class SafeTrainRunner(TrainRunner):
    """Runner whose training history comes from memory, and which ends with the error that ended the training.

    With several processes, scvi-tools writes the history to ``history.pkl`` and may read it from there. Whoever can
    write to that folder could then run code, so the file is never read here. Only the first process has a history.
    """

    def _run_training_core(self) -> None:
        # Like that of scvi-tools, without its message of a NameError, and without the history of a failed training.
        try:
            with _keyboard_interrupts():
                self.trainer.fit(self.training_plan, self.data_splitter, ckpt_path=self.ckpt_path)
        except BaseException:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            raise
        self._update_history()
        self.model.train_indices = getattr(self.data_splitter, "train_idx", None)
        self.model.test_indices = getattr(self.data_splitter, "test_idx", None)
        self.model.validation_indices = getattr(self.data_splitter, "val_idx", None)
        self.model.module.eval()
        self.model.is_trained_ = True
        self.model.to_device(self.device)
        self.model.trainer = self.trainer

    def _update_history(self) -> None:
        if hasattr(self.trainer.logger, "history_path"):
            self.trainer.logger.history_path = None
        super()._update_history()


@contextmanager
def _keyboard_interrupts() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` where Lightning ends the process after Ctrl-C, and keep what the signal does."""
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        # Lightning ignores the signal from then on.
        if handler is not None and signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)
