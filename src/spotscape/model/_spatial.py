"""Base of the models on expression and a spatial graph: set-up, preprocessing and denoised expression."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from mudata import MuData
from scvi.data import AnnDataManager

from spotscape._constants import FIELD_KEYS, MODULE_KEYS
from spotscape._validate import check_number
from spotscape.data import GraphDataset
from spotscape.data._fields import registered_coordinates, registered_expression, registered_slices
from spotscape.graph._checks import validate_graph
from spotscape.model._base import LatentModel
from spotscape.model._docs import docs
from spotscape.model._setup import register
from spotscape.preprocessing import (
    FeaturePipeline,
    Features,
    NoCorrection,
    Preprocessor,
    apply_count_calibration,
    fit_count_calibration,
)
from spotscape.preprocessing._row_blocks import row_blocks
from spotscape.preprocessing.correction import correction_named

#: Number of spots, or genes, that are decoded at a time, since inverting the preprocessing copies what it inverts.
_DECODING_BATCH_SIZE = 256


class SpatialModel(LatentModel):
    """Base of the models on expression and a spatial graph.

    A subclass builds ``self.module`` in its ``__init__`` from ``self.pipeline`` and ends with
    ``self._remember(locals(), self.pipeline.get_state())``.

    Parameters
    ----------
    adata
        AnnData or MuData that ``setup_anndata`` or ``setup_mudata`` was called on, or ``None`` to load a model without
        data.
    registry
        Saved registry of a model loaded without data.
    preprocessing
        State of a fitted :class:`~spotscape.preprocessing.FeaturePipeline`, as it is saved; fitted to the data if
        ``None``.
    seed
        Seed; that of ``scvi.settings`` if ``None``, and 0 if that is not set either.
    slice_correction
        How differences between slices are removed from the components. ``None``: by Harmony where there are several
        slices, and not at all from genes.
    **preprocessing_parameters
        As :class:`~spotscape.preprocessing.Preprocessor`.
    """

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
            self.pipeline = FeaturePipeline.from_state(preprocessing)
            return
        self._check_has_data(adata)
        reads_genes = preprocessing_parameters.get("features") == "genes"
        if reads_genes and slice_correction not in (None, NoCorrection.name):
            raise ValueError(
                f"`slice_correction` is {slice_correction!r}, but `features` are 'genes', which stay sparse; pass "
                "'none', or leave it out."
            )
        if slice_correction is None:
            slice_correction = NoCorrection.name if reads_genes or self._count_slices() == 1 else "harmony"
        self.pipeline = FeaturePipeline(
            correction_named(slice_correction), preprocessor=Preprocessor(**preprocessing_parameters)
        )
        names = registered_slices(self.adata_manager)[1]
        self.pipeline.fit(registered_expression(self.adata_manager), names, seed=self.seed)

    @classmethod
    @docs.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        layer: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        graph: Literal["knn", "radius", "delaunay", "precomputed"] = "knn",
        n_neighbors: int | None = None,
        radius: float | None = None,
        graph_key: str = "spatial",
        **kwargs: Any,
    ) -> None:
        """%(summary)s

        Everything is checked first; if anything is wrong the AnnData stays as it was.

        Parameters
        ----------
        %(param_adata)s
        %(param_layer)s
        %(slices)s
        graph
            How spots are joined within each slice; see :func:`~spotscape.pp.spatial_neighbors`. ``"precomputed"`` takes
            the graph that is stored, squidpy's for example.
        n_neighbors
            Number of nearest neighbours for ``graph="knn"``. ``None``: by the size of each slice, see
            :func:`~spotscape.graph.default_n_neighbors`.
        radius
            Radius for ``graph="radius"`` (or longest edge for ``"delaunay"``) as a multiple of the slice's median
            distance to the nearest neighbour.
        graph_key
            The graph is stored as ``adata.obsp[f"{graph_key}_connectivities"]`` in squidpy's schema.

        Returns
        -------
        %(returns)s

        Raises
        ------
        %(setup_errors)s
        """
        register(cls, adata, cls._get_setup_method_args(**locals()), kwargs)

    @classmethod
    @docs.dedent
    def setup_mudata(
        cls,
        mdata: MuData,
        modality: str,
        layer: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        graph: Literal["knn", "radius", "delaunay", "precomputed"] = "knn",
        n_neighbors: int | None = None,
        radius: float | None = None,
        graph_key: str = "spatial",
        **kwargs: Any,
    ) -> None:
        """%(summary_mdata)s

        Parameters
        ----------
        %(param_mdata)s
        modality
            Modality with the expression; it also holds the slices, the coordinates and the graph.
        %(param_layer)s
        slice_key, spatial_key, size_factor_key, values, graph, n_neighbors, radius, graph_key
            As in :meth:`setup_anndata`, within the modality.

        Returns
        -------
        %(returns)s
        """
        register(cls, mdata, cls._get_setup_method_args(**locals()), kwargs)

    @property
    def preprocessor(self) -> Preprocessor:
        """Fitted preprocessing of the expression."""
        return self.pipeline.preprocessor

    def _validate_anndata(self, adata: AnnData | MuData | None = None, copy_if_view: bool = True) -> AnnData | MuData:
        adata = super()._validate_anndata(adata, copy_if_view=copy_if_view)
        # The graph can be overwritten by other tools.
        for field in self.get_anndata_manager(adata, required=True).fields:
            if field.registry_key == FIELD_KEYS.GRAPH:
                field.validate_field(adata)
        return adata

    def _dataset(self, manager: AnnDataManager) -> GraphDataset:
        codes, names = registered_slices(manager)
        return GraphDataset(
            self.pipeline.transform(registered_expression(manager), names),
            codes,
            registered_coordinates(manager),
            validate_graph(manager.get_from_registry(FIELD_KEYS.GRAPH), codes),
            self.module.n_layers,
        )

    # --------------------------------------------------------------------------------------- denoised expression

    @docs.dedent
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

        The decoder predicts log-normalised expression :math:`y`. Its exponential is not the expected expression, since
        the logarithm of a mean exceeds the mean of logarithms, by more the fewer molecules are counted. Expected counts
        are therefore learnt from it after training, by a Poisson regression with an intercept and a slope for each
        gene, see :func:`~spotscape.preprocessing.fit_count_calibration`, which reproduces the total of each gene over
        the training spots. The result is a share of the library, times ``library_size``:

        .. math::

            \rho_{ig} = \frac{e^{a_g + b_g y_{ig}}}{t}

        with :math:`t` the total that spots were normalised to (``model.preprocessor.target_sum``). Genes that were not
        selected for training are predicted from the principal components. Differences between slices that were removed
        are added back: the result is expression as it would be measured in the slice of the spot.

        Parameters
        ----------
        %(spots)s
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
        names = self.preprocessor.gene_names
        genes = _checked_genes(gene_list, names)
        if log_normalized and library_size != 1:
            raise ValueError(f"`library_size` is {library_size!r}, which log-normalised expression does not have.")
        if isinstance(library_size, str) and library_size != "latent":
            raise ValueError(f"`library_size` is {library_size!r}; pass a number or 'latent'.")
        if library_size != "latent":
            check_number(library_size, "library_size", minimum=0)
        manager, rows = self._requested(adata, indices, batch_size)
        dataset = self._dataset(manager)
        latent = self._encode(dataset, rows, batch_size)
        self._warn_of_novelty(manager, dataset, rows, latent)
        if self.module.decoder_reads != MODULE_KEYS.LATENT:
            latent = self._encode(dataset, rows, batch_size, self.module.decoder_reads)
        result = np.empty((len(rows), len(genes)), dtype=np.float32)
        for start in range(0, len(rows), _DECODING_BATCH_SIZE):
            block = slice(start, start + _DECODING_BATCH_SIZE)
            features = self._reconstructed(latent[block], dataset.features, rows[block])
            result[block] = self.preprocessor.inverse_transform(features, genes=genes)
        if not log_normalized:
            apply_count_calibration(result, self.count_calibration_[:, pd.Index(names).get_indexer(genes)])
            totals: Any = library_size
            if library_size == "latent":
                expression = registered_expression(manager)
                totals = self.pipeline.preprocessor_for(expression).library_size(
                    expression.matrix, size_factors=expression.size_factors
                )[rows, None]
            result *= np.asarray(totals / self.preprocessor.target_sum, dtype=np.float32)
        spots = manager.adata.obs_names[rows]
        return result if return_numpy else pd.DataFrame(result, index=spots, columns=genes)

    def _reconstructed(self, decoder_input: np.ndarray, given: Features, rows: np.ndarray) -> np.ndarray:
        """Features that the decoder expects of some spots, with the differences between slices added back."""
        expected = self.module.reconstruct(torch.from_numpy(decoder_input)).cpu().numpy()
        return expected + (given.uncorrected[rows] - given.corrected[rows]) if given.is_corrected else expected

    @torch.inference_mode()
    def _after_training(self, dataset: GraphDataset) -> None:
        """Learn novelty and expected counts from spots spread evenly through the training data."""
        rows = self._reference_rows()
        self._fit_novelty(dataset, rows)
        decoder_input = self._encode(dataset, rows, output=self.module.decoder_reads)
        self._fit_count_calibration(self._reconstructed(decoder_input, dataset.features, rows), rows)

    def _fit_count_calibration(self, features: np.ndarray, rows: np.ndarray) -> None:
        """Learn expected counts from the features that the decoder expects of some training spots."""
        expression = registered_expression(self.adata_manager)
        preprocessor, genes = self.pipeline.preprocessor_for(expression), self.preprocessor.gene_names
        given = {"size_factors": None if expression.size_factors is None else expression.size_factors[rows]}
        counts = row_blocks(expression.matrix).read(rows)
        exposure = preprocessor.library_size(counts, **given) / preprocessor.target_sum
        observed = preprocessor.log_expression(counts, **given).tocsc()
        self.count_calibration_ = np.empty((3, len(genes)), dtype=np.float32)
        for start in range(0, len(genes), _DECODING_BATCH_SIZE):
            block = slice(start, start + _DECODING_BATCH_SIZE)
            self.count_calibration_[:, block] = fit_count_calibration(
                self.preprocessor.inverse_transform(features, genes=genes[block]),
                np.expm1(observed[:, block].toarray()) * exposure[:, None],
                exposure,
            )


def _checked_genes(gene_list: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    if gene_list is None:
        return list(known)
    if isinstance(gene_list, str):
        raise TypeError(f"`gene_list` is {gene_list!r}; pass a list of names, such as [{gene_list!r}].")
    unknown = set(gene_list) - set(known)
    if unknown:
        raise KeyError(f"{len(unknown)} gene(s) are not of the model, for example {sorted(unknown)[0]!r}.")
    return list(gene_list)
