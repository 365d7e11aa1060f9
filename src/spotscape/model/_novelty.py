"""Whether new spots resemble those that a model was trained on."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.model.base import BaseModelClass

from spotscape._constants import FIELD_KEYS
from spotscape.data import slice_names
from spotscape.novelty import distances_between_pieces, novelty
from spotscape.preprocessing._subsample import even_rows

#: A spot is novel where it lies further out than this share of the training spots.
_NOVEL = 0.99
#: A slice is out of distribution where more than this share of its spots are novel.
_MOST = 0.5
_SPOTS_TO_CHECK = 2048


class NoveltyMixin(BaseModelClass):
    """``get_novelty`` and ``get_slice_novelty``, and the warning that comes with the latent representation."""

    _latent: Callable[..., tuple[AnnDataManager, np.ndarray, np.ndarray]]

    def get_novelty(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """How unlike the training spots each spot is.

        The distance of a spot to the five nearest training spots in the latent space is held against the distances of
        training spots to training spots of other pieces of tissue: other slices, or at least other eighths of the
        tissue. Differences between slices count here, whether the model corrects them or not. Of many training spots,
        up to 4,096 are compared with.

        Parameters
        ----------
        adata, indices, batch_size
            As in :meth:`get_latent_representation`.

        Returns
        -------
        Share of the training spots that lie closer to others than the spot does, from 0 to 1. ``(n_spots,)``. A spot of
        0.99 or more is as far out as one in a hundred training spots, or further.

        Raises
        ------
        RuntimeError
            If the model has not been trained, or was saved by a release that did not keep what this needs.
        """
        # Checked before the work; the latent representation checks the rest.
        if self.is_trained_ and not hasattr(self, "reference_latent_"):
            raise RuntimeError("The model was saved by an older release, without training spots; train it again.")
        manager, rows, latent = self._latent(adata, indices, batch_size)
        latent = self._uncorrected_latent(manager, rows, latent)
        return novelty(latent, self.reference_latent_, self.reference_distances_)

    def get_slice_novelty(self, adata: AnnData | MuData | None = None, batch_size: int | None = None) -> pd.DataFrame:
        """Whether whole slices are out of distribution.

        Parameters
        ----------
        adata, batch_size
            As in :meth:`get_latent_representation`.

        Returns
        -------
        Data frame with a row for each slice and the columns ``n_spots``, ``share_novel``, the share of its spots that
        have a novelty of 0.99 or more, and ``out_of_distribution``, whether these are more than half. Of a slice like
        those trained on, one expects 0.01.

        Raises
        ------
        RuntimeError
            As :meth:`get_novelty`.
        """
        found = self.get_novelty(adata, batch_size=batch_size)
        manager = self.get_anndata_manager(self._validate_anndata(adata), required=True)
        return _by_slice(found, slice_names(manager))

    def _uncorrected_latent(self, manager: AnnDataManager, rows: np.ndarray, latent: np.ndarray) -> np.ndarray:
        """Latent representation of some spots without any correction of slices, which would draw a foreign slice in.

        ``latent`` is the one with the correction; the same where a model has none.
        """
        return latent

    def _fit_novelty(self, latent: np.ndarray, rows: np.ndarray) -> None:
        """Keep the latent representation of some training spots, and how far they are from each other."""
        manager = self.adata_manager
        coordinates = np.asarray(manager.get_from_registry(FIELD_KEYS.COORDINATES))[rows]
        slices = np.asarray(manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)).ravel()[rows]
        self.reference_latent_ = latent
        self.reference_distances_ = distances_between_pieces(latent, coordinates, slices)

    def _warn_of_novelty(self, manager: AnnDataManager, indices: np.ndarray, latent: np.ndarray) -> None:
        """Warn of slices that are out of distribution, after a look at some of the spots."""
        if not hasattr(self, "reference_latent_"):
            return
        some = even_rows(len(indices), _SPOTS_TO_CHECK)
        latent = self._uncorrected_latent(manager, indices[some], latent[some])
        found = novelty(latent, self.reference_latent_, self.reference_distances_)
        table = _by_slice(found, slice_names(manager)[indices[some]])
        out = table[table["out_of_distribution"]]
        if len(out):
            warnings.warn(
                f"{len(out)} of {len(table)} slice(s) are unlike those that the model was trained on: in "
                f"{out.index[0]!r}, {out['share_novel'].iloc[0]:.0%} of the spots lie further out than 99% of the "
                "training spots; do not trust their representation, and see `get_novelty` for each spot.",
                UserWarning,
                stacklevel=4,
            )


def _by_slice(found: np.ndarray, slices: np.ndarray) -> pd.DataFrame:
    is_novel = pd.Series(found >= _NOVEL).groupby(slices)
    table = pd.DataFrame({"n_spots": is_novel.size(), "share_novel": is_novel.mean()}).rename_axis("slice")
    return table.assign(out_of_distribution=table["share_novel"] > _MOST)
