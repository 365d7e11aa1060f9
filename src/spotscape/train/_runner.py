"""Runner of scvi-tools that reads no pickled files."""

from scvi.train import TrainRunner


class SafeTrainRunner(TrainRunner):
    """Runner whose training history comes from memory.

    With several processes, scvi-tools writes the history to ``history.pkl`` and may read it from there. Whoever can
    write to that folder could then run code, so the file is never read here. Only the first process has a history.
    """

    def _update_history(self) -> None:
        if hasattr(self.trainer.logger, "history_path"):
            self.trainer.logger.history_path = None
        super()._update_history()
