"""What the models on expression and a spatial graph share: preprocessing and denoised expression."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from mudata import MuData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

from spotscape._constants import FIELD_KEYS, MODULE_KEYS
from spotscape._validate import check_number
from spotscape.data import (
    ExpressionField,
    GraphDataLoader,
    GraphDataSplitter,
    NoCorrection,
    Preprocessor,
    correction_from_state,
    correction_named,
    correction_state,
    read_rows,
    slice_names,
)
from spotscape.model._latent import LatentModel, checked_indices
from spotscape.model._query import QueryMixin
from spotscape.model._setup import SpatialSetupMixin, check_data

_CORRECTION = "slice_correction"
_SPOTS_FOR_CORRECTION = 20_000
_DECODED_AT_ONCE = 256
_SPOTS_FOR_A_FACTOR = 10


class SpatialModel(SpatialSetupMixin, QueryMixin, LatentModel):
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
    slice_correction
        How differences between slices are removed from the components. ``None``: by Harmony where there are several
        slices, and not at all from genes.
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
        slice_correction: str | None,
        **preprocessing_parameters: Any,
    ):
        super().__init__(adata, registry, seed=seed)
        if preprocessing is not None:
            state = dict(preprocessing)
            self.correction = correction_from_state(state.pop(_CORRECTION))
            self.preprocessor = Preprocessor.from_state(state)
        else:
            self._check_has_data(adata)
            reads_genes = preprocessing_parameters.get("features") == "genes"
            if reads_genes and slice_correction not in (None, NoCorrection.name):
                raise ValueError(
                    f"`slice_correction` is {slice_correction!r}, but `features` are 'genes', which stay sparse; pass "
                    "'none', or leave it out."
                )
            if slice_correction is None:
                slice_correction = NoCorrection.name if reads_genes or self._count_slices() == 1 else "harmony"
            self.preprocessor = Preprocessor(**preprocessing_parameters)
            self._fit_preprocessor()
            self.correction = correction_named(slice_correction)
            self._fit_correction()

    def _check_new_data(self, adata: AnnData | MuData) -> None:
        check_data(adata, self.registry_["setup_args"], self.registry_)

    def _validate_anndata(self, adata: AnnData | MuData | None = None, copy_if_view: bool = True) -> AnnData | MuData:
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

    def _fit_correction(self) -> None:
        """Learn the differences between slices, from spots spread evenly through the data."""
        if isinstance(self.correction, NoCorrection):
            return
        manager, n_spots = self.adata_manager, self.adata.n_obs
        rows = np.unique(np.linspace(0, n_spots - 1, min(n_spots, _SPOTS_FOR_CORRECTION)).astype(int))
        size_factors = _size_factors(manager)
        components = self.preprocessor.transform(
            read_rows(manager.get_from_registry(REGISTRY_KEYS.X_KEY), rows),
            size_factors=None if size_factors is None else size_factors[rows],
        )
        self.correction.fit(components.astype(np.float64), slice_names(manager)[rows], seed=self.seed)

    def _features(self, manager: AnnDataManager) -> Any:
        features = self._uncorrected_features(manager)
        if isinstance(self.correction, NoCorrection):
            return features
        return self.correction.transform(features, slice_names(manager))

    def _uncorrected_features(self, manager: AnnDataManager) -> Any:
        counts = manager.get_from_registry(REGISTRY_KEYS.X_KEY)
        return self._preprocessor_for(manager).transform(counts, size_factors=_size_factors(manager))

    def _taken_off(self, manager: AnnDataManager, features: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        """What the correction has taken off the features of some spots; ``None`` if there is none."""
        if isinstance(self.correction, NoCorrection):
            return None
        return self._uncorrected_features(manager)[rows] - features[rows]

    def _preprocessor_for(self, manager: AnnDataManager) -> Preprocessor:
        """Preprocessor for data in which all genes were measured, or some were not."""
        measured = manager.get_state_registry(REGISTRY_KEYS.X_KEY).get(ExpressionField.MEASURED_KEY)
        return self.preprocessor if measured is None else self.preprocessor.restrict(measured)

    def _loader_arguments(self, manager: AnnDataManager) -> dict[str, Any]:
        return {"features": self._features(manager), "n_hops": self.module.n_layers, "seed": self.seed}

    # ------------------------------------------------------------------------------------------------ inference

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
        selected for training are predicted from the principal components. What was taken off as a difference between
        slices is put back: the answer is expression as it would be seen in the slice of the spot.

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
        indices = checked_indices(indices, adata.n_obs)
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
        manager = self.get_anndata_manager(adata, required=True)
        arguments = self._loader_arguments(manager)
        latent = self._encode(manager, indices, batch_size, arguments)
        self._warn_of_novelty(manager, indices, latent)
        if self.module.decoder_reads != MODULE_KEYS.LATENT:
            latent = self._encode(manager, indices, batch_size, arguments, output=self.module.decoder_reads)
        taken_off = self._taken_off(manager, arguments["features"], indices)
        expression = np.empty((len(indices), len(genes)), dtype=np.float32)
        for i, block in enumerate(self._decoded(latent, taken_off, genes)):
            expression[i * _DECODED_AT_ONCE : i * _DECODED_AT_ONCE + len(block)] = block
        return expression

    def _decoded(self, latent: np.ndarray, taken_off: np.ndarray | None, genes: list[str]) -> Iterator[np.ndarray]:
        # In blocks, since inverting the preprocessing takes copies of what it inverts.
        for start in range(0, len(latent), _DECODED_AT_ONCE):
            block = slice(start, start + _DECODED_AT_ONCE)
            features = self.module.reconstruct(torch.from_numpy(latent[block])).cpu().numpy()
            if taken_off is not None:
                features = features + taken_off[block]
            yield self.preprocessor.inverse_transform(features, genes=genes)

    def _after_training(self, loader_arguments: dict[str, Any]) -> None:
        self._fit_expression_factors(loader_arguments)

    @torch.inference_mode()
    def _fit_expression_factors(self, loader_arguments: dict[str, Any]) -> None:
        """Find the factor of each gene that makes its total right, over spots spread evenly through the data.

        The same spots are kept to tell what is novel.
        """
        manager, genes = self.adata_manager, self.preprocessor.gene_names
        rows = self._some_training_spots()
        size_factors = _size_factors(manager)
        observed = self._preprocessor_for(manager).log_expression(
            read_rows(manager.get_from_registry(REGISTRY_KEYS.X_KEY), rows),
            size_factors=None if size_factors is None else size_factors[rows],
        )
        observed_total = np.asarray(observed.expm1().sum(axis=0, dtype=np.float64)).ravel()
        encoded = self._encode(manager, rows, None, loader_arguments)
        self._fit_novelty(encoded, rows)
        if self.module.decoder_reads != MODULE_KEYS.LATENT:
            encoded = self._encode(manager, rows, None, loader_arguments, output=self.module.decoder_reads)
        taken_off = self._taken_off(manager, loader_arguments["features"], rows)
        decoded = self._decoded(encoded, taken_off, genes)
        expected_total = sum(np.expm1(block).sum(axis=0, dtype=np.float64) for block in decoded)
        factors = np.ones(len(genes), dtype=np.float32)
        # A gene that was hardly seen gives no steady ratio, and neither does one that is predicted to be absent.
        steady = (np.diff(observed.tocsc().indptr) >= _SPOTS_FOR_A_FACTOR) & (expected_total > 0)
        factors[steady] = np.clip(observed_total[steady] / expected_total[steady], 0.1, 10)
        self.expression_factors_ = factors

    def _library_size(self, adata: AnnData | MuData) -> np.ndarray:
        manager = self.get_anndata_manager(adata, required=True)
        counts = manager.get_from_registry(REGISTRY_KEYS.X_KEY)
        return self._preprocessor_for(manager).library_size(counts, size_factors=_size_factors(manager))

    def _remember(self, arguments: dict[str, Any]) -> None:
        """Keep the arguments of ``__init__`` for loading, with the preprocessing as it was fitted."""
        self.init_params_ = self._get_init_params(arguments)
        state = self.preprocessor.get_state() | {_CORRECTION: correction_state(self.correction)}
        self.init_params_["non_kwargs"] |= {"preprocessing": state, "seed": self.seed}


def _size_factors(manager: AnnDataManager) -> np.ndarray | None:
    if REGISTRY_KEYS.SIZE_FACTOR_KEY not in manager.data_registry:
        return None
    return np.asarray(manager.get_from_registry(REGISTRY_KEYS.SIZE_FACTOR_KEY), dtype=float).ravel()


def _checked_genes(gene_list: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    if gene_list is None:
        return list(known)
    if isinstance(gene_list, str):
        raise TypeError(f"`gene_list` is {gene_list!r}; pass a list of names, such as [{gene_list!r}].")
    unknown = set(gene_list) - set(known)
    if unknown:
        raise KeyError(f"{len(unknown)} gene(s) are not of the model, for example {sorted(unknown)[0]!r}.")
    return list(gene_list)
