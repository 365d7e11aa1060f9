"""The progress bar of training."""

from lightning.pytorch import Trainer
from scvi.train._progress import ProgressBar
from tqdm.auto import tqdm

from spotscape._bars import progress_bar


class EpochBar(ProgressBar):
    """Progress bar of scvi-tools that is not written to standard output, nor to log files and pipes.

    Parameters
    ----------
    refresh_rate
        As in :class:`scvi.train.Trainer`: 1, or 0 for no bar.
    """

    def init_train_tqdm(self, trainer: Trainer) -> tqdm:
        """Make the bar."""
        return progress_bar(total=trainer.max_epochs, desc="Training", hidden=self.is_disabled)
