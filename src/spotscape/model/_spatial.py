"""What the models on expression and a spatial graph share: preprocessing and denoised expression."""

from collections.abc import Sequence
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
from spotscape.data import ExpressionField, GraphDataLoader, GraphDataSplitter, slice_names
from spotscape.model._base import LatentModel, checked_indices, registered_size_factors
from spotscape.model._query import QueryMixin
from spotscape.model._setup import SpatialSetupMixin, check_data
from spotscape.preprocessing import Preprocessor, apply_count_calibration, fit_count_calibration, read_rows
from spotscape.preprocessing.correction import NoCorrection, correction_from_state, correction_named, correction_state

_CORRECTION = "slice_correction"
_DECODED_AT_ONCE = 256


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
        As :class:`~spotscape.preprocessing.Preprocessor`.
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
            size_factors=registered_size_factors(manager),
            values=state[ExpressionField.VALUES_KEY],
        )

    def _fit_correction(self) -> None:
        """Learn the differences between slices."""
        if not isinstance(self.correction, NoCorrection):
            manager = self.adata_manager
            self.correction.fit(self._uncorrected_features(manager), slice_names(manager), seed=self.seed)

    def _features(self, manager: AnnDataManager) -> Any:
        features = self._uncorrected_features(manager)
        if isinstance(self.correction, NoCorrection):
            return features
        return self.correction.transform(features, slice_names(manager))

    def _uncorrected_features(self, manager: AnnDataManager) -> Any:
        counts = manager.get_from_registry(REGISTRY_KEYS.X_KEY)
        return self._preprocessor_for(manager).transform(counts, size_factors=registered_size_factors(manager))

    def _uncorrected_latent(self, manager: AnnDataManager, rows: np.ndarray, latent: np.ndarray) -> np.ndarray:
        if isinstance(self.correction, NoCorrection):
            return latent
        arguments = self._loader_arguments(manager) | {"features": self._uncorrected_features(manager)}
        return self._encode(manager, rows, None, arguments)

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

        The decoder answers in log-normalised expression :math:`y`. Its exponential is not the expected expression,
        since the logarithm of a mean exceeds the mean of logarithms, the more so the fewer molecules are counted; so
        expected counts are learnt from it after training, by a Poisson regression with an intercept and a slope for
        each gene, see :func:`~spotscape.preprocessing.fit_count_calibration`. It makes the total of each gene over the
        training spots right. What is returned is a share of the library, times ``library_size``:

        .. math::

            \rho_{ig} = \frac{e^{a_g + b_g y_{ig}}}{t}

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
            position = {gene: i for i, gene in enumerate(self.preprocessor.gene_names)}
            apply_count_calibration(expression, self.count_calibration_[:, [position[gene] for gene in genes]])
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
        # In blocks, since inverting the preprocessing takes copies of what it inverts.
        for start in range(0, len(indices), _DECODED_AT_ONCE):
            block = slice(start, start + _DECODED_AT_ONCE)
            features = self._decoded_features(latent[block], None if taken_off is None else taken_off[block])
            expression[block] = self.preprocessor.inverse_transform(features, genes=genes)
        return expression

    def _decoded_features(self, latent: np.ndarray, taken_off: np.ndarray | None) -> np.ndarray:
        """Features that the decoder expects, with what the correction has taken off put back."""
        features = self.module.reconstruct(torch.from_numpy(latent)).cpu().numpy()
        return features if taken_off is None else features + taken_off

    @torch.inference_mode()
    def _after_training(self, loader_arguments: dict[str, Any]) -> None:
        """Learn what is novel, and what counts to expect, from spots spread evenly through the data."""
        manager, rows = self.adata_manager, self._some_training_spots()
        encoded = self._encode(manager, rows, None, loader_arguments)
        self._fit_novelty(self._uncorrected_latent(manager, rows, encoded), rows)
        if self.module.decoder_reads != MODULE_KEYS.LATENT:
            encoded = self._encode(manager, rows, None, loader_arguments, output=self.module.decoder_reads)
        taken_off = self._taken_off(manager, loader_arguments["features"], rows)
        self._fit_count_calibration(self._decoded_features(encoded, taken_off), rows)

    def _fit_count_calibration(self, features: np.ndarray, rows: np.ndarray) -> None:
        """Learn expected counts from the features that the decoder expects of some training spots."""
        manager, genes = self.adata_manager, self.preprocessor.gene_names
        size_factors = registered_size_factors(manager)
        given = {"size_factors": None if size_factors is None else size_factors[rows]}
        preprocessor = self._preprocessor_for(manager)
        counts = read_rows(manager.get_from_registry(REGISTRY_KEYS.X_KEY), rows)
        exposure = preprocessor.library_size(counts, **given) / preprocessor.target_sum
        observed = preprocessor.log_expression(counts, **given).tocsc()
        self.count_calibration_ = np.empty((3, len(genes)), dtype=np.float32)
        for start in range(0, len(genes), _DECODED_AT_ONCE):
            block = slice(start, start + _DECODED_AT_ONCE)
            self.count_calibration_[:, block] = fit_count_calibration(
                self.preprocessor.inverse_transform(features, genes=genes[block]),
                np.expm1(observed[:, block].toarray()) * exposure[:, None],
                exposure,
            )

    def _library_size(self, adata: AnnData | MuData) -> np.ndarray:
        manager = self.get_anndata_manager(adata, required=True)
        counts = manager.get_from_registry(REGISTRY_KEYS.X_KEY)
        return self._preprocessor_for(manager).library_size(counts, size_factors=registered_size_factors(manager))

    def _remember(self, arguments: dict[str, Any]) -> None:
        """Keep the arguments of ``__init__`` for loading, with the preprocessing as it was fitted."""
        self.init_params_ = self._get_init_params(arguments)
        state = self.preprocessor.get_state() | {_CORRECTION: correction_state(self.correction)}
        self.init_params_["non_kwargs"] |= {"preprocessing": state, "seed": self.seed}


def _checked_genes(gene_list: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    if gene_list is None:
        return list(known)
    if isinstance(gene_list, str):
        raise TypeError(f"`gene_list` is {gene_list!r}; pass a list of names, such as [{gene_list!r}].")
    unknown = set(gene_list) - set(known)
    if unknown:
        raise KeyError(f"{len(unknown)} gene(s) are not of the model, for example {sorted(unknown)[0]!r}.")
    return list(gene_list)
