"""Progress and notes of the command line, on standard error."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

_HERE = str(Path(__file__).parent)
#: Number of lines about training where standard error is no terminal.
_N_LINES = 10


class Progress:
    """Says on standard error what is being done.

    On a terminal, lines are short and training has a bar; elsewhere, as in log files, each line begins with the time.

    Parameters
    ----------
    quiet
        Whether to say nothing.

    Attributes
    ----------
    notes
        Warnings about the data so far, each once.
    was_interrupted
        Whether the user interrupted the training.
    """

    def __init__(self, quiet: bool = False):
        self.quiet = quiet
        self.notes: list[str] = []
        self.was_interrupted = False

    @property
    def on_terminal(self) -> bool:
        """Whether there is someone to see a bar."""
        return sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Say one line."""
        if not self.quiet:
            time = "" if self.on_terminal else f"{datetime.now():%Y-%m-%d %H:%M:%S} "
            print(f"{time}{text}", file=sys.stderr, flush=True)

    def callback(self) -> Any:
        """Callback of Lightning that shows the progress of training."""
        from lightning.pytorch import Callback
        from tqdm import tqdm

        progress = self

        class ShowTraining(Callback):
            bar: Any = None

            def on_train_start(self, trainer: Any, pl_module: Any) -> None:
                if progress.on_terminal and not progress.quiet:
                    self.bar = tqdm(total=trainer.max_epochs, desc="training", unit="epoch", file=sys.stderr)

            def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
                done, total = trainer.current_epoch + 1, trainer.max_epochs
                if self.bar is not None:
                    self.bar.update(1)
                elif done == total or done % max(1, total // _N_LINES) == 0:
                    progress.say(f"training: epoch {done} of {total}")

            def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
                progress.was_interrupted = isinstance(exception, KeyboardInterrupt)
                if self.bar is not None:
                    self.bar.close()

            def on_train_end(self, trainer: Any, pl_module: Any) -> None:
                if self.bar is not None:
                    self.bar.close()

        return ShowTraining()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Turn warnings of this package into notes, and leave out those of other packages."""
        silent = redirect_stderr(_NoTerminal(sys.stderr)) if self.quiet else redirect_stderr(sys.stderr)
        with warnings.catch_warnings(), silent:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = self._note
            yield

    def _note(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        # A method that PyTorch wraps warns on behalf of the wrapper.
        ours = filename.startswith(_HERE) or filename.endswith("_contextlib.py")
        text = " ".join(str(message).split())
        if category is not UserWarning or not ours or text in self.notes:
            return
        self.notes.append(text)
        if not self.quiet:
            print(f"spotscape: note: {text}", file=sys.stderr, flush=True)


class _NoTerminal:
    """A stream on which no library draws bars."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
