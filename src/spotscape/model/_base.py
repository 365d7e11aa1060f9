"""What all models share: set-up, loaders, training, saving."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from mudata import MuData
from scvi import REGISTRY_KEYS, settings
from scvi.data import AnnDataManager
from tqdm.auto import tqdm

from spotscape._constants import BATCH_KEYS, FIELD_KEYS, MODULE_KEYS
from spotscape._validate import check_integer, check_number
from spotscape.data import ExpressionField, GraphDataLoader, GraphDataSplitter, Preprocessor, read_rows
from spotscape.model._saving import PlainSavingMixin
from spotscape.model._setup import SpatialSetupMixin, check_data, check_kind
from spotscape.model._storage import FORMAT_VERSION
from spotscape.model._training import ScheduledTrainingMixin

_ENCODED_AT_ONCE = 65_536
_BATCHES_WITHOUT_PROGRESS = 8
_DECODED_AT_ONCE = 256
_SPOTS_FOR_FACTORS = 4096
_SPOTS_FOR_A_FACTOR = 10


class SpatialModel(ScheduledTrainingMixin, SpatialSetupMixin, PlainSavingMixin):
    """Base of the models on expression and a spatial graph.

    A subclass builds ``self.module`` in its ``__init__`` from ``self.preprocessor`` and ends with
    ``self._remember(locals())``.

    Parameters
    ----------
    adata
        AnnData or MuData that ``setup_anndata`` or ``setup_mudata`` was called on, or ``None`` to load a model without
        data.
    registry
        Saved registry of a model loaded without data.
    preprocessing
        State of a fitted preprocessor, as it is saved; fitted to the data if ``None``.
    seed
        Seed; that of ``scvi.settings`` if ``None``, and 0 if that is not set either.
    **preprocessing_parameters
        As :class:`~spotscape.data.Preprocessor`.
    """

    _data_loader_cls = GraphDataLoader
    _data_splitter_cls = GraphDataSplitter

    def __init__(
        self,
        adata: AnnData | MuData | None,
        registry: dict | None,
        *,
        preprocessing: dict[str, Any] | None,
        seed: int | None,
        **preprocessing_parameters: Any,
    ):
        super().__init__(adata, registry)
        self.seed = seed if seed is not None else settings.seed if settings.seed is not None else 0
        self.format_version_ = FORMAT_VERSION
        if preprocessing is not None:
            self.preprocessor = Preprocessor.from_state(preprocessing)
        elif adata is None:
            raise ValueError(
                f"A new {type(self).__name__} needs data; pass an AnnData that `{type(self).__name__}.setup_anndata` "
                "was called on."
            )
        else:
            self.preprocessor = Preprocessor(**preprocessing_parameters)
            self._fit_preprocessor()

    def _validate_anndata(self, adata: AnnData | MuData | None = None, copy_if_view: bool = True) -> AnnData | MuData:
        if adata is not None:
            check_kind(adata, self.registry_["setup_args"])
            if self.get_anndata_manager(adata) is None:
                check_data(adata, self.registry_["setup_args"], self.registry_)
        adata = super()._validate_anndata(adata, copy_if_view=copy_if_view)
        # The graph lies open in the AnnData, where other tools may have written over it since.
        for field in self.get_anndata_manager(adata, required=True).fields:
            if field.registry_key == FIELD_KEYS.GRAPH:
                field.validate_field(adata)
        return adata

    # ------------------------------------------------------------------------------------------------ data path

    def _fit_preprocessor(self) -> None:
        manager = self.adata_manager
        state = manager.get_state_registry(REGISTRY_KEYS.X_KEY)
        self.preprocessor.fit(
            manager.get_from_registry(REGISTRY_KEYS.X_KEY),
            [str(name) for name in state[ExpressionField.COLUMN_NAMES_KEY]],
            slices=np.asarray(manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)).ravel(),
            size_factors=_size_factors(manager),
            values=state[ExpressionField.VALUES_KEY],
        )

    def _features(self, manager: AnnDataManager) -> Any:
        counts = manager.get_from_registry(REGISTRY_KEYS.X_KEY)
        return self.preprocessor.transform(counts, size_factors=_size_factors(manager))

    def _loader_arguments(self, manager: AnnDataManager) -> dict[str, Any]:
        return {"features": self._features(manager), "n_hops": self.module.n_layers, "seed": self.seed}

    # ------------------------------------------------------------------------------------------------ inference

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
        self._check_if_trained(warn=False)
        adata = self._validate_anndata(adata)
        if batch_size is not None:
            check_integer(batch_size, "batch_size", minimum=1)
        manager = self.get_anndata_manager(adata, required=True)
        indices = _checked_indices(indices, adata.n_obs)
        return self._encode(manager, indices, batch_size, self._loader_arguments(manager))

    def _encode(
        self, manager: AnnDataManager, indices: np.ndarray, batch_size: int | None, loader_arguments: dict[str, Any]
    ) -> np.ndarray:
        """Latent representation of some spots. ``(len(indices), n_latent)``."""
        self.module.eval()
        if batch_size is None:
            batch_size = min(len(indices), _ENCODED_AT_ONCE)
        # In patches, since spots that lie together have fewer neighbours to be encoded besides.
        loader = self._data_loader_cls(
            manager, indices=indices, batch_size=batch_size, patch_size=batch_size, **loader_arguments
        )
        row_of = np.empty(manager.adata.n_obs, dtype=np.int64)
        row_of[indices] = np.arange(len(indices))
        latent: np.ndarray | None = None
        for batch in tqdm(loader, desc="Encoding", disable=len(loader) < _BATCHES_WITHOUT_PROGRESS):
            encoded = self.module.inference(**self.module._get_inference_input(batch))[MODULE_KEYS.LATENT].cpu()
            if latent is None:
                latent = np.empty((len(indices), encoded.shape[1]), dtype=np.float32)
            latent[row_of[batch[BATCH_KEYS.NODE_INDEX][: len(encoded)].numpy()]] = encoded.numpy()
        return cast(np.ndarray, latent)

    @torch.inference_mode()
    def get_normalized_expression(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        gene_list: Sequence[str] | None = None,
        library_size: float | Literal["latent"] = 1.0,
        batch_size: int | None = None,
        return_numpy: bool | None = None,
        *,
        log_normalized: bool = False,
    ) -> np.ndarray | pd.DataFrame:
        r"""Denoised expression: what the decoder expects of a spot, given its neighbourhood.

        The decoder answers in log-normalised expression :math:`y`. Its exponential is less than the expected
        expression, since the logarithm of a mean exceeds the mean of logarithms; so each gene is multiplied by the
        factor :math:`f_g` that makes its total over the training spots right :cite:p:`Duan1983`. What is returned is a
        share of the library, times ``library_size``:

        .. math::

            \rho_{ig} = f_g \frac{e^{y_{ig}} - 1}{t}

        with :math:`t` the total that spots were normalised to (``model.preprocessor.target_sum``). Genes that were not
        selected for training are predicted from the principal components.

        Parameters
        ----------
        adata, indices, batch_size
            As in :meth:`get_latent_representation`.
        gene_list
            Genes to return, in this order. ``None``: all.
        library_size
            Total that the expression of a spot refers to; 1 gives shares of the library. Their sum over all genes is
            close to 1, or to the share of the measured genes if ``size_factor_key`` was given. ``"latent"`` gives
            expected counts: each spot's own total.
        return_numpy
            Whether to return an array in place of a data frame.
        log_normalized
            Whether to return :math:`y` itself, the log-normalised expression that the model is trained on, for which
            ``library_size`` has no meaning.

        Returns
        -------
        ``(n_spots, n_genes)``, as a data frame with the names of spots and genes unless ``return_numpy``.

        Raises
        ------
        RuntimeError
            If the model has not been trained.
        KeyError
            If a gene is not one of the model.
        """
        self._check_if_trained(warn=False)
        genes = _checked_genes(gene_list, self.preprocessor.gene_names)
        if log_normalized and library_size != 1:
            raise ValueError(f"`library_size` is {library_size!r}, which log-normalised expression does not have.")
        if isinstance(library_size, str) and library_size != "latent":
            raise ValueError(f"`library_size` is {library_size!r}; pass a number or 'latent'.")
        if library_size != "latent":
            check_number(library_size, "library_size", minimum=0)
        adata = self._validate_anndata(adata)
        indices = _checked_indices(indices, adata.n_obs)
        expression = self._decode(adata, indices, genes, batch_size)
        if not log_normalized:
            np.expm1(expression, out=expression)
            position = {gene: i for i, gene in enumerate(self.preprocessor.gene_names)}
            expression *= self.expression_factors_[[position[gene] for gene in genes]]
            totals = self._library_size(adata)[indices, None] if library_size == "latent" else library_size
            expression *= np.asarray(totals / self.preprocessor.target_sum, dtype=np.float32)
        if return_numpy:
            return expression
        return pd.DataFrame(expression, index=adata.obs_names[indices], columns=genes)

    def _decode(self, adata: AnnData, indices: np.ndarray, genes: list[str], batch_size: int | None) -> np.ndarray:
        """Log-normalised expression that the decoder expects. ``(len(indices), len(genes))``."""
        latent = torch.from_numpy(self.get_latent_representation(adata, indices, batch_size))
        expression = np.empty((len(indices), len(genes)), dtype=np.float32)
        for i, block in enumerate(self._decoded(latent, genes)):
            expression[i * _DECODED_AT_ONCE : i * _DECODED_AT_ONCE + len(block)] = block
        return expression

    def _decoded(self, latent: torch.Tensor, genes: list[str]) -> Iterator[np.ndarray]:
        # In blocks, since inverting the preprocessing takes copies of what it inverts.
        for block in latent.split(_DECODED_AT_ONCE):
            yield self.preprocessor.inverse_transform(self.module.reconstruct(block).cpu().numpy(), genes=genes)

    @torch.inference_mode()
    def _fit_expression_factors(self, loader_arguments: dict[str, Any]) -> None:
        """Find the factor of each gene that makes its total right, over spots spread evenly through the data."""
        manager, genes = self.adata_manager, self.preprocessor.gene_names
        trained = np.sort(np.asarray(self.train_indices_))
        rows = trained[np.unique(np.linspace(0, len(trained) - 1, min(len(trained), _SPOTS_FOR_FACTORS)).astype(int))]
        size_factors = _size_factors(manager)
        observed = self.preprocessor.log_expression(
            read_rows(manager.get_from_registry(REGISTRY_KEYS.X_KEY), rows),
            size_factors=None if size_factors is None else size_factors[rows],
        )
        observed_total = np.asarray(observed.expm1().sum(axis=0, dtype=np.float64)).ravel()
        latent = torch.from_numpy(self._encode(manager, rows, None, loader_arguments))
        expected_total = sum(np.expm1(block).sum(axis=0, dtype=np.float64) for block in self._decoded(latent, genes))
        factors = np.ones(len(genes), dtype=np.float32)
        # A gene that was hardly seen gives no steady ratio, and neither does one that is predicted to be absent.
        steady = (np.diff(observed.tocsc().indptr) >= _SPOTS_FOR_A_FACTOR) & (expected_total > 0)
        factors[steady] = np.clip(observed_total[steady] / expected_total[steady], 0.1, 10)
        self.expression_factors_ = factors

    def _library_size(self, adata: AnnData | MuData) -> np.ndarray:
        manager = self.get_anndata_manager(adata, required=True)
        counts = manager.get_from_registry(REGISTRY_KEYS.X_KEY)
        return self.preprocessor.library_size(counts, size_factors=_size_factors(manager))

    def _count_slices(self) -> int:
        """Count the slices that have spots in the data of the model; 1 without data."""
        if self.adata is None:
            return 1
        return len(np.unique(self.adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)))

    def _remember(self, arguments: dict[str, Any]) -> None:
        """Keep the arguments of ``__init__`` for loading, with the preprocessing as it was fitted."""
        self.init_params_ = self._get_init_params(arguments)
        self.init_params_["non_kwargs"] |= {"preprocessing": self.preprocessor.get_state(), "seed": self.seed}


def _size_factors(manager: AnnDataManager) -> np.ndarray | None:
    if REGISTRY_KEYS.SIZE_FACTOR_KEY not in manager.data_registry:
        return None
    return np.asarray(manager.get_from_registry(REGISTRY_KEYS.SIZE_FACTOR_KEY), dtype=float).ravel()


def _checked_indices(indices: Sequence[int] | np.ndarray | None, n_spots: int) -> np.ndarray:
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


def _checked_genes(gene_list: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    if gene_list is None:
        return list(known)
    if isinstance(gene_list, str):
        raise TypeError(f"`gene_list` is {gene_list!r}; pass a list of names, such as [{gene_list!r}].")
    unknown = set(gene_list) - set(known)
    if unknown:
        raise KeyError(f"{len(unknown)} gene(s) are not of the model, for example {sorted(unknown)[0]!r}.")
    return list(gene_list)
