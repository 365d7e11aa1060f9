"""Base of all models: latent representation, novelty, saving and loading."""

import inspect
import weakref
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from mudata import MuData
from scvi import settings
from scvi.data import AnnDataManager
from scvi.model.base import BaseModelClass, UnsupervisedTrainingMixin

from spotscape._bars import progress_bar
from spotscape._constants import BATCH_KEYS, MODULE_KEYS
from spotscape._validate import check_integer, checked_indices
from spotscape.data import SpotDataLoader, SpotDataset, SpotDataSplitter
from spotscape.data._fields import SliceField, registered_slices, slices_of
from spotscape.data._findings import Findings, as_table
from spotscape.model import _save_load
from spotscape.model._docs import documented
from spotscape.model._files import FilesMixin
from spotscape.model._hub import HubMixin
from spotscape.model._novelty import slice_novelty, warn_of_novel_slices
from spotscape.model._query import QueryMixin, warn_of_subset
from spotscape.model._repr import NotebookMixin
from spotscape.model._setup import check_data, check_kind, check_unchanged
from spotscape.model._shortcuts import ShortcutMixin
from spotscape.model._spatialdata import SpatialDataMixin
from spotscape.novelty import NoveltyReference
from spotscape.preprocessing._subsample import evenly_spaced_rows
from spotscape.train import ScheduledTrainingPlan
from spotscape.train._defaults import batch_size_of_settings
from spotscape.train._runner import SafeTrainRunner

#: Largest number of spots that are encoded at a time, if the user gives none.
_ENCODING_BATCH_SIZE = 65_536
_BATCHES_WITHOUT_PROGRESS = 8
#: Largest number of training spots that novelty, clusters and expected counts are learnt from.
_N_REFERENCE_SPOTS = 4096
#: Number of spots that are checked for novelty with each latent representation.
_N_SPOTS_TO_CHECK = 2048


class LatentModel(
    FilesMixin,
    HubMixin,
    QueryMixin,
    SpatialDataMixin,
    ShortcutMixin,
    NotebookMixin,
    UnsupervisedTrainingMixin,
    BaseModelClass,
):
    """Base class of all models.

    A subclass implements ``_dataset``, which makes the data set that batches are drawn from, and ``_after_training``.

    Parameters
    ----------
    adata
        AnnData or MuData that ``setup_anndata`` or ``setup_mudata`` was called on. ``None``: load a model without data.
    registry
        Saved registry of a model that is loaded without data.
    seed
        Random seed. ``None``: the seed of ``scvi.settings``, or 0 if that is not set.

    Examples
    --------
    >>> import spotscape as sps
    >>> [issubclass(model, sps.model.LatentModel) for model in (sps.SPOTSCAPE, sps.SEDR, sps.AESTETIK)]
    [True, True, True]
    """

    _data_loader_cls = SpotDataLoader
    _data_splitter_cls = SpotDataSplitter
    _training_plan_cls = ScheduledTrainingPlan
    _train_runner_cls = SafeTrainRunner
    #: How the last training ended, if it did not end by itself.
    _interruption: str | None = None

    def __init__(self, adata: AnnData | MuData | None, registry: dict | None, *, seed: int | None):
        super().__init__(adata, registry)
        # Whether a training offers what the tuning of scvi-tools by scib metrics reads.
        self.extra_payload_autotune = False
        if adata is not None:
            check_unchanged(self.adata_manager)
        self.seed = seed if seed is not None else settings.seed if settings.seed is not None else 0
        self.format_version_ = _save_load.FORMAT_VERSION
        # Domains that `keep_domains` has kept, as plain arrays and texts.
        self.domains_: dict[str, Any] | None = None
        # scvi-tools keeps what a model has seen for as long as the process lives.
        weakref.finalize(self, type(self)._per_instance_manager_store.pop, self.id, None)

    def _check_has_data(self, adata: AnnData | MuData | None) -> None:
        if adata is None:
            raise ValueError(
                f"A new {type(self).__name__} needs data; pass an AnnData that `{type(self).__name__}.setup_anndata` "
                "was called on."
            )

    def _count_slices(self) -> int:
        """Number of slices that have spots in the data of the model; 1 without data."""
        return 1 if self.adata is None else len(np.unique(registered_slices(self.adata_manager)[0]))

    def _make_module(self, *args: Any, arguments: dict[str, Any]) -> Any:
        """Make the module with those ``arguments`` of the model that the module takes, and the seed."""
        names = inspect.signature(self._module_cls).parameters
        chosen = {name: value for name, value in arguments.items() if name in names}
        return self._module_cls(*args, **(chosen | {"seed": self.seed}))

    def _dataset(self, manager: AnnDataManager) -> SpotDataset:
        """Compute the features of all spots, and make the data set that batches are drawn from."""
        raise NotImplementedError

    def _after_training(self, dataset: Any) -> None:
        """Compute what the trained model needs besides its weights, such as the reference of the novelty."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------ answers

    @documented
    @torch.inference_mode()
    def get_latent_representation(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Latent representation of each spot.

        Warns if a slice is out of distribution, see :meth:`get_slice_novelty`.

        Parameters
        ----------
        %(spots)s

        Returns
        -------
        Latent representation. ``(n_spots, n_latent)``.

        %(not_trained)s

        %(latent_example)s
        """
        manager, rows = self._requested(adata, indices, batch_size)
        dataset = self._dataset(manager)
        latent = self._encode(dataset, rows, batch_size)
        self._warn_of_novelty(manager, dataset, rows, latent)
        return latent

    @documented
    def get_novelty(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Novelty score of each spot: how much it differs from the training spots.

        The score compares the mean distance of a spot to its five nearest training spots in the latent space with the
        same distances between training spots of different regions. A region is a compact part of one slice, with about
        an eighth of the training spots or less. Differences between slices are not corrected here. At most 4,096
        training spots are used.

        Parameters
        ----------
        %(spots)s

        Returns
        -------
        Fraction of the training spots with a smaller distance, from 0 to 1. ``(n_spots,)``. A spot with 0.99 or more is
        as far away as the most distant hundredth of the training spots. The training spots themselves have lower values
        than new spots, because each is its own nearest training spot.

        %(not_trained)s

        %(novelty_example)s
        """
        manager, rows = self._requested(adata, indices, batch_size)
        return self._novelty(self._dataset(manager), rows, batch_size)

    @documented
    def get_slice_novelty(self, adata: AnnData | MuData | None = None, batch_size: int | None = None) -> pd.DataFrame:
        """Test whether whole slices are out of distribution.

        Parameters
        ----------
        adata, batch_size
            As in :meth:`get_latent_representation`.

        Returns
        -------
        Data frame with one row per slice and the columns ``n_spots``; ``share_novel``, the fraction of its spots with a
        novelty of 0.99 or more, about 0.01 for a slice like the training slices; and ``out_of_distribution``, whether
        this fraction exceeds one half.

        %(not_trained)s

        %(slice_novelty_example)s
        """
        manager, rows = self._requested(adata, None, batch_size)
        return slice_novelty(self._novelty(self._dataset(manager), rows, batch_size), registered_slices(manager)[1])

    @documented
    def get_data_findings(self, adata: AnnData | MuData | None = None) -> pd.DataFrame:
        """What the checks of the data noticed when they were set up, which is saved with the model.

        Parameters
        ----------
        adata
            New data, which are set up if they are not yet. ``None``: the data of the model.

        Returns
        -------
        Data frame with one row per finding and the columns ``finding``, what it is about; ``slice``, the name of the
        slice, or empty; and ``message``, a sentence. No rows: nothing was noticed.

        Examples
        --------
        >>> import spotscape as sps
        >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
        >>> adata.layers["corrected"] = 0.9 * adata.layers["counts"]
        >>> sps.SPOTSCAPE.setup_anndata(adata, layer="corrected", values="normalized")
        >>> sps.SPOTSCAPE(adata).get_data_findings().columns.tolist()
        ['finding', 'slice', 'message']
        """
        if adata is None:
            registry = self.registry_ if self.adata is None else self.adata_manager.registry
        else:
            registry = self.get_anndata_manager(self._validate_anndata(adata), required=True).registry
        return as_table(slices_of(registry).get(SliceField.FINDINGS_KEY))

    def _requested(
        self, adata: AnnData | MuData | None, indices: Sequence[int] | np.ndarray | None, batch_size: int | None
    ) -> tuple[AnnDataManager, np.ndarray]:
        """Check the arguments; return the manager of the data and the row numbers of the requested spots."""
        self._check_if_trained(warn=False)
        if adata is None and self.adata is None:
            raise ValueError("`adata` is None, but the model was loaded without data; pass the data in `adata`.")
        adata = self._validate_anndata(adata)
        if batch_size is not None:
            check_integer(batch_size, "batch_size", minimum=1)
        manager = self.get_anndata_manager(adata, required=True)
        if self.adata is not None and adata is not self.adata:
            warn_of_subset(manager, self.adata_manager)
        return manager, checked_indices(indices, adata.n_obs)

    @torch.inference_mode()
    def _encode(
        self,
        dataset: SpotDataset,
        indices: np.ndarray,
        batch_size: int | None = None,
        output: str = MODULE_KEYS.LATENT,
    ) -> np.ndarray:
        """Latent representation, or another ``output`` of the module, of some spots. ``(len(indices), n_columns)``."""
        self.module.eval()
        if batch_size is None:
            batch_size = min(len(indices), batch_size_of_settings() or _ENCODING_BATCH_SIZE)
        # In patches, since spots that are close together share the neighbours that have to be encoded besides.
        patch_size = max(1, batch_size // 8)
        loader = SpotDataLoader(dataset, indices=indices, batch_size=batch_size, patch_size=patch_size, seed=self.seed)
        row_of = np.empty(len(dataset), dtype=np.int64)
        row_of[indices] = np.arange(len(indices))
        latent: np.ndarray | None = None
        for batch in progress_bar(loader, desc="Encoding", hidden=len(loader) < _BATCHES_WITHOUT_PROGRESS):
            encoded = self.module.inference(**self.module._get_inference_input(batch))[output].cpu()
            if latent is None:
                latent = np.empty((len(indices), encoded.shape[1]), dtype=np.float32)
            latent[row_of[batch[BATCH_KEYS.NODE_INDEX][: len(encoded)].numpy()]] = encoded.numpy()
        return cast(np.ndarray, latent)

    # ------------------------------------------------------------------------------------------------ novelty

    def _novelty(self, dataset: SpotDataset, rows: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        """Novelty of some spots, from features without correction, which would move a different slice closer."""
        latent = self._encode(dataset.uncorrected(), rows, batch_size)
        return NoveltyReference.from_state(self.novelty_reference_).score(latent)

    def _reference_rows(self) -> np.ndarray:
        """Row numbers of at most 4,096 evenly spaced training spots."""
        trained = np.sort(np.asarray(self.train_indices_))
        return trained[evenly_spaced_rows(len(trained), _N_REFERENCE_SPOTS)]

    def _fit_novelty(self, dataset: SpotDataset, rows: np.ndarray) -> None:
        latent = self._encode(dataset.uncorrected(), rows)
        reference = NoveltyReference.fit(latent, dataset.coordinates[rows], dataset.slices[rows])
        self.novelty_reference_ = reference.get_state()

    def _warn_of_novelty(
        self, manager: AnnDataManager, dataset: SpotDataset, rows: np.ndarray, latent: np.ndarray
    ) -> None:
        """Warn if a slice is out of distribution, using at most 2,048 of the spots."""
        some = evenly_spaced_rows(len(rows), _N_SPOTS_TO_CHECK)
        uncorrected = dataset.uncorrected()
        latent = latent[some] if uncorrected is dataset else self._encode(uncorrected, rows[some])
        scores = NoveltyReference.from_state(self.novelty_reference_).score(latent)
        size_factor_key = self.registry_["setup_args"].get("size_factor_key")
        warn_of_novel_slices(slice_novelty(scores, registered_slices(manager)[1][rows[some]]), size_factor_key)

    # ----------------------------------------------------------------------------------------------- new data

    def _validate_anndata(self, adata: AnnData | MuData | None = None, copy_if_view: bool = True) -> AnnData | MuData:
        findings = Findings()
        is_new = False
        if adata is not None:
            check_kind(adata, self.registry_["setup_args"])
            is_new = self.get_anndata_manager(adata) is None
            if is_new:
                check_data(adata, self.registry_["setup_args"], self.registry_, findings)
        manager = self.adata_manager if adata is None else self.get_anndata_manager(adata)
        if manager is not None:
            check_unchanged(manager)
        adata = super()._validate_anndata(adata, copy_if_view=copy_if_view)
        if is_new:
            manager = self.get_anndata_manager(adata, required=True)
            slices_of(manager.registry)[SliceField.FINDINGS_KEY] = findings.columns
        return adata

    def _remember(self, arguments: dict[str, Any], preprocessing: dict[str, Any]) -> None:
        """Store the arguments of ``__init__`` and the fitted preprocessing, which are saved with the model."""
        self.init_params_ = self._get_init_params(arguments)
        self.init_params_["non_kwargs"] |= {"preprocessing": preprocessing, "seed": self.seed}
