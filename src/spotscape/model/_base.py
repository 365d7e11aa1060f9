"""What all models share: a seed, a latent representation of each spot, training and saving."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from anndata import AnnData
from mudata import MuData
from scvi import REGISTRY_KEYS, settings
from scvi.data import AnnDataManager
from tqdm.auto import tqdm

from spotscape._constants import BATCH_KEYS, MODULE_KEYS
from spotscape._validate import check_integer
from spotscape.model._novelty import NoveltyMixin
from spotscape.model._save_load import PlainSavingMixin
from spotscape.model._setup import check_kind
from spotscape.model._storage import FORMAT_VERSION
from spotscape.model._training import ScheduledTrainingMixin
from spotscape.preprocessing._subsample import even_rows

_ENCODED_AT_ONCE = 65_536
_BATCHES_WITHOUT_PROGRESS = 8
_SPOTS_TO_KEEP = 4096


class LatentModel(ScheduledTrainingMixin, NoveltyMixin, PlainSavingMixin):
    """Base of all models, whatever data they are set up with.

    A subclass says what it loads by ``_data_loader_cls``, ``_data_splitter_cls`` and ``_loader_arguments``, checks data
    that is new to it in ``_check_new_data``, and finishes its training in ``_after_training``.

    Parameters
    ----------
    adata
        AnnData or MuData that ``setup_anndata`` or ``setup_mudata`` was called on, or ``None`` to load a model without
        data.
    registry
        Saved registry of a model loaded without data.
    seed
        Seed; that of ``scvi.settings`` if ``None``, and 0 if that is not set either.
    """

    _data_loader_cls: Any

    def __init__(self, adata: AnnData | MuData | None, registry: dict | None, *, seed: int | None):
        super().__init__(adata, registry)
        self.seed = seed if seed is not None else settings.seed if settings.seed is not None else 0
        self.format_version_ = FORMAT_VERSION

    def _check_has_data(self, adata: AnnData | MuData | None) -> None:
        if adata is None:
            raise ValueError(
                f"A new {type(self).__name__} needs data; pass an AnnData that `{type(self).__name__}.setup_anndata` "
                "was called on."
            )

    def _validate_anndata(self, adata: AnnData | MuData | None = None, copy_if_view: bool = True) -> AnnData | MuData:
        if adata is not None:
            check_kind(adata, self.registry_["setup_args"])
            if self.get_anndata_manager(adata) is None:
                self._check_new_data(adata)
        return super()._validate_anndata(adata, copy_if_view=copy_if_view)

    def _check_new_data(self, adata: AnnData | MuData) -> None:
        """Raise if data that the model has not seen cannot be set up as its own was."""
        raise NotImplementedError

    def _loader_arguments(self, manager: AnnDataManager) -> dict[str, Any]:
        """Arguments of the loader besides those of every loader."""
        raise NotImplementedError

    @torch.inference_mode()
    def get_latent_representation(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Latent representation of each spot.

        Parameters
        ----------
        adata
            Data set up in the same way as that of the model; a new section is set up by the saved rules. ``None``: the
            data of the model.
        indices
            Spots to return. Their neighbours are seen whether they are among them or not. ``None``: all.
        batch_size
            Number of spots at a time, to bound the memory; the result does not depend on it. ``None``: all at once up
            to 65,536, and as many at a time where there are more.

        Returns
        -------
        ``(n_spots, n_latent)``.

        Raises
        ------
        RuntimeError
            If the model has not been trained.
        """
        manager, rows, latent = self._latent(adata, indices, batch_size)
        self._warn_of_novelty(manager, rows, latent)
        return latent

    def _latent(
        self, adata: AnnData | MuData | None, indices: Sequence[int] | np.ndarray | None, batch_size: int | None
    ) -> tuple[AnnDataManager, np.ndarray, np.ndarray]:
        """Manager of the data, row numbers of the spots that are asked for, and their latent representation."""
        self._check_if_trained(warn=False)
        adata = self._validate_anndata(adata)
        if batch_size is not None:
            check_integer(batch_size, "batch_size", minimum=1)
        manager = self.get_anndata_manager(adata, required=True)
        rows = checked_indices(indices, adata.n_obs)
        return manager, rows, self._encode(manager, rows, batch_size, self._loader_arguments(manager))

    @torch.inference_mode()
    def _encode(
        self,
        manager: AnnDataManager,
        indices: np.ndarray,
        batch_size: int | None,
        loader_arguments: dict[str, Any],
        output: str = MODULE_KEYS.LATENT,
    ) -> np.ndarray:
        """Latent representation of some spots, or another output of the module. ``(len(indices), n_latent)``."""
        self.module.eval()
        if batch_size is None:
            batch_size = min(len(indices), _ENCODED_AT_ONCE)
        # In patches, since spots that lie together have fewer neighbours to be encoded besides.
        loader = self._data_loader_cls(
            manager, indices=indices, batch_size=batch_size, patch_size=max(1, batch_size // 8), **loader_arguments
        )
        row_of = np.empty(manager.adata.n_obs, dtype=np.int64)
        row_of[indices] = np.arange(len(indices))
        latent: np.ndarray | None = None
        for batch in tqdm(loader, desc="Encoding", disable=len(loader) < _BATCHES_WITHOUT_PROGRESS):
            encoded = self.module.inference(**self.module._get_inference_input(batch))[output].cpu()
            if latent is None:
                latent = np.empty((len(indices), encoded.shape[1]), dtype=np.float32)
            latent[row_of[batch[BATCH_KEYS.NODE_INDEX][: len(encoded)].numpy()]] = encoded.numpy()
        return cast(np.ndarray, latent)

    def _some_training_spots(self) -> np.ndarray:
        """Row numbers of training spots, spread evenly through the data, for what need not see all."""
        trained = np.sort(np.asarray(self.train_indices_))
        return trained[even_rows(len(trained), _SPOTS_TO_KEEP)]

    def _count_slices(self) -> int:
        """Count the slices that have spots in the data of the model; 1 without data."""
        if self.adata is None:
            return 1
        return len(np.unique(self.adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)))


def registered_size_factors(manager: AnnDataManager) -> np.ndarray | None:
    """Size factor of each spot, if the data were set up with any. ``(n_spots,)``."""
    if REGISTRY_KEYS.SIZE_FACTOR_KEY not in manager.data_registry:
        return None
    return np.asarray(manager.get_from_registry(REGISTRY_KEYS.SIZE_FACTOR_KEY), dtype=float).ravel()


def checked_indices(indices: Sequence[int] | np.ndarray | None, n_spots: int) -> np.ndarray:
    """Row numbers of the spots that are asked for, all if ``None``, once they are known to be right."""
    if indices is None:
        return np.arange(n_spots)
    indices = np.asarray(indices)
    if indices.ndim != 1 or len(indices) == 0 or indices.dtype.kind not in "biu":
        raise ValueError(
            f"`indices` has shape {indices.shape} and type {indices.dtype}; pass row numbers, at least one, or a mask."
        )
    if indices.dtype == bool:
        if len(indices) != n_spots:
            raise ValueError(
                f"`indices` is a mask of length {len(indices)} for {n_spots} spots; give one value a spot."
            )
        return np.flatnonzero(indices)
    if indices.min() < 0 or indices.max() >= n_spots:
        raise ValueError(f"`indices` must lie between 0 and {n_spots - 1}; got {indices.min()} to {indices.max()}.")
    if len(np.unique(indices)) < len(indices):
        raise ValueError("`indices` names a spot more than once; give each once.")
    return indices
