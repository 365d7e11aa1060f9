"""Base of the models of expression or an embedding and a spatial graph: setup, features and denoised expression."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from mudata import MuData
from scipy import sparse
from scvi.data import AnnDataManager

from spotscape._constants import FIELD_KEYS, MODULE_KEYS
from spotscape._validate import check_flag, check_number, optional
from spotscape.data import GraphDataset
from spotscape.data._fields import registered_coordinates, registered_expression, registered_input, registered_slices
from spotscape.graph._checks import validate_graph
from spotscape.model._base import LatentModel
from spotscape.model._docs import documented
from spotscape.model._feature_input import checked_genes, fitted_pipeline
from spotscape.model._presets import Presets, resolve_for, resolve_graph
from spotscape.model._setup import register
from spotscape.preprocessing import (
    FeaturePipeline,
    Features,
    Preprocessor,
    apply_count_calibration,
    fit_count_calibration,
)
from spotscape.preprocessing._row_blocks import row_blocks

#: Number of spots, or genes, that are decoded at a time, since inverting the preprocessing copies what it inverts.
_DECODING_BATCH_SIZE = 256


class SpatialModel(LatentModel):
    """Base class of the models of expression, or an embedding, and a spatial graph.

    The ``__init__`` of a subclass builds ``self.module`` for features of width ``self.pipeline.n_features`` and
    ends with ``self._remember(locals(), self.pipeline.get_state())``.

    Parameters
    ----------
    adata
        AnnData or MuData that ``setup_anndata`` or ``setup_mudata`` was called on. ``None``: load a model without data.
    registry
        Saved registry of a model that is loaded without data.
    preprocessing
        Saved state of a fitted :class:`~spotscape.preprocessing.FeaturePipeline`. ``None``: fit the preprocessing to
        the data.
    seed
        Random seed. ``None``: the seed of ``scvi.settings``, or 0 if that is not set.
    slice_correction
        How differences between slices are removed from the features. ``None``: Harmony if there are several slices and
        features are not genes, and no correction otherwise.
    **preprocessing_parameters
        Arguments of :class:`~spotscape.preprocessing.Preprocessor`. For an embedding, only ``n_components`` is used.

    Raises
    ------
    ValueError
        If there are no data, or ``slice_correction`` is set for features that are genes.

    Examples
    --------
    A model with its own module and default training:

    >>> import spotscape as sps
    >>> class MyModel(sps.model.SpatialModel):
    ...     _module_cls = sps.module.SpotscapeModule
    ...
    ...     def __init__(self, adata=None, registry=None, *, n_latent=4, preprocessing=None, seed=None):
    ...         super().__init__(adata, registry, preprocessing=preprocessing, seed=seed, slice_correction=None)
    ...         self.module = self._make_module(self.pipeline.n_features, arguments={"n_latent": n_latent})
    ...         self._remember(locals(), self.pipeline.get_state())
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> MyModel.setup_anndata(adata, layer="counts")
    >>> model = MyModel(adata)
    >>> model.pipeline.n_features
    30
    """

    #: Settings by preset. ``None`` is that of the defaults.
    _presets: ClassVar[Presets] = {None: {}}
    #: Arguments of set-up that make the graph of the publication.
    _published_graph: ClassVar[dict[str, Any]] = {}
    preset: str | None

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
        self.pipeline = fitted_pipeline(
            self.adata_manager, slice_correction, self._count_slices(), preprocessing_parameters, self.seed
        )

    def _resolve_preset(self, preset: str | None, adata: AnnData | MuData | None, arguments: Any) -> dict[str, Any]:
        """Check the preset, and return the arguments that presets set with the values of this one where ``None``."""
        self.preset = preset
        manager = None if adata is None else self._get_most_recent_anndata_manager(adata, required=True)
        return resolve_for(manager, self._presets, preset, self._published_graph, arguments)

    @classmethod
    @documented
    def setup_anndata(
        cls,
        adata: AnnData,
        layer: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        labels_key: str | None = None,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        preset: Literal["paper", "released"] | None = None,
        graph: Literal["knn", "radius", "delaunay", "precomputed"] | None = None,
        n_neighbors: int | None = None,
        radius: float | None = None,
        graph_key: str = "spatial",
        features_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """%(summary)s

        The data are checked before anything is written. If a check fails, the AnnData is unchanged.

        Parameters
        ----------
        %(param_adata)s
        %(param_layer)s
        %(slices)s
        preset
            Preset that the model will have, which sets the graph as published. ``None``: ``graph`` and what follows.
        graph
            How neighbours are found within each slice, see :func:`~spotscape.pp.spatial_neighbors`. ``"precomputed"``
            uses a graph that is already stored, such as one of squidpy, with its weights; a spot itself has weight 1.
            ``None``: ``"knn"``, or the graph of the preset.
        n_neighbors
            Number of nearest neighbours for ``graph="knn"``. ``None``: chosen from the number of spots of each slice by
            :func:`~spotscape.graph.default_n_neighbors`.
        radius
            Radius for ``graph="radius"``, or maximum edge length for ``graph="delaunay"``, as a multiple of the median
            distance to the nearest neighbour in the slice.
        graph_key
            The graph is stored in ``adata.obsp[f"{graph_key}_connectivities"]``, as in squidpy.
        features_key
            Key of ``adata.obsm`` with features that are used instead of expression, such as the embedding of a
            foundation model. Its standardised columns are replaced by their first principal components. ``layer``,
            ``size_factor_key`` and ``values`` do not apply then. ``None``: expression.

        %(setup_results)s

        Examples
        --------
        >>> import spotscape as sps
        >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=40)
        >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice", n_neighbors=4)
        >>> adata.obsp["spatial_connectivities"].shape
        (120, 120)
        """
        register(cls, adata, cls._resolved(cls._get_setup_method_args(**locals())), kwargs)

    @classmethod
    @documented
    def setup_mudata(
        cls,
        mdata: MuData,
        modality: str,
        layer: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        labels_key: str | None = None,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        preset: Literal["paper", "released"] | None = None,
        graph: Literal["knn", "radius", "delaunay", "precomputed"] | None = None,
        n_neighbors: int | None = None,
        radius: float | None = None,
        graph_key: str = "spatial",
        features_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """%(summary_mdata)s

        Parameters
        ----------
        %(param_mdata)s
        modality
            Modality with the expression, the slices and the coordinates. The graph is stored in it.
        %(param_layer)s
        slice_key, spatial_key, size_factor_key, labels_key, values, preset, graph, n_neighbors, radius
            As in :meth:`setup_anndata`, within the modality.
        graph_key, features_key
            As in :meth:`setup_anndata`, within the modality.

        %(setup_results)s

        Examples
        --------
        >>> import mudata
        >>> import spotscape as sps
        >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
        >>> mdata = mudata.MuData({"rna": adata})
        >>> sps.SPOTSCAPE.setup_mudata(mdata, modality="rna", layer="counts")
        >>> mdata["rna"].obsp["spatial_connectivities"].shape
        (60, 60)
        """
        register(cls, mdata, cls._resolved(cls._get_setup_method_args(**locals())), kwargs)

    @classmethod
    def _resolved(cls, setup_method_args: dict[str, Any]) -> dict[str, Any]:
        resolve_graph(setup_method_args["setup_args"], cls._presets, cls._published_graph)
        return setup_method_args

    @property
    def preprocessor(self) -> Preprocessor:
        """Fitted preprocessing of the expression. A model that was set up with ``features_key`` has none."""
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
            self.pipeline.transform(registered_input(manager), names),
            codes,
            registered_coordinates(manager),
            self._graph(manager, codes),
            self.module.n_layers,
        )

    def _graph(self, manager: AnnDataManager, codes: np.ndarray) -> sparse.csr_matrix:
        """Graph of registered data. The weights of a graph that was given are kept."""
        weighted = manager.get_state_registry(FIELD_KEYS.GRAPH)["method"] == "precomputed"
        return validate_graph(manager.get_from_registry(FIELD_KEYS.GRAPH), codes, weighted=weighted)

    # --------------------------------------------------------------------------------------- denoised expression

    @documented
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
        r"""Denoised expression of each spot, as decoded from its latent representation.

        The decoder predicts log-normalised expression :math:`y`. The exponential of the mean of :math:`y`
        underestimates the mean expression, most of all at low counts. Therefore a Poisson regression with an intercept
        :math:`a_g` and a slope :math:`b_g` per gene is fitted to the counts after training, see
        :func:`~spotscape.preprocessing.fit_count_calibration`. It reproduces the total of each gene over the training
        spots. The result is a fraction of the library, multiplied by ``library_size``:

        .. math::

            \rho_{ig} = \frac{e^{a_g + b_g y_{ig}}}{t}

        with :math:`t` the total that spots are normalised to (``model.preprocessor.target_sum``). Genes that were not
        selected for training are predicted from the principal components. Differences between slices that were removed
        from the features are added back, so the result is on the scale of the slice of each spot.

        Parameters
        ----------
        %(spots)s
        gene_list
            Genes to return, in this order. ``None``: all genes.
        library_size
            Total expression per spot. 1 gives fractions of the library, whose sum over all genes is close to 1, or to
            the fraction of the measured genes if ``size_factor_key`` was given. ``"latent"`` gives expected counts,
            with the observed total of each spot.
        return_numpy
            Whether to return an array instead of a data frame.
        log_normalized
            Whether to return :math:`y` itself, the log-normalised expression that the model is trained on. It has no
            ``library_size``.

        Returns
        -------
        Data frame with the names of spots and genes, or array if ``return_numpy``. ``(n_spots, n_genes)``.

        Raises
        ------
        RuntimeError
            If the model has not been trained.
        KeyError
            If the model does not have a gene.
        TypeError, ValueError
            If ``gene_list`` is a string, ``library_size`` is invalid, or the model reads an embedding.

        Examples
        --------
        >>> import spotscape as sps
        >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
        >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
        >>> model = sps.SPOTSCAPE(adata)
        >>> model.train(max_epochs=1)
        >>> denoised = model.get_normalized_expression()
        >>> print(denoised.shape, denoised.sum(axis=1).mean().round(1))
        (60, 40) 1.0
        >>> model.get_normalized_expression(gene_list=list(adata.var_names[:2]), library_size="latent").shape
        (60, 2)
        """
        check_flag(log_normalized, "log_normalized")
        optional(check_flag)(return_numpy, "return_numpy")
        if not self.pipeline.reads_expression:
            raise ValueError(
                "The model was set up with `features_key`, so it predicts those features and no genes; for denoised "
                "expression, set up a model with expression."
            )
        names = self.preprocessor.gene_names
        genes = checked_genes(gene_list, names)
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
        """Decoded features of some spots, with the differences between slices added back."""
        expected = self.module.reconstruct(torch.from_numpy(decoder_input)).cpu().numpy()
        return expected + (given.uncorrected[rows] - given.corrected[rows]) if given.is_corrected else expected

    @torch.inference_mode()
    def _after_training(self, dataset: GraphDataset) -> None:
        """Fit the novelty reference and, for expression, the count calibration to evenly spaced training spots."""
        rows = self._reference_rows()
        self._fit_novelty(dataset, rows)
        if not self.pipeline.reads_expression:
            return
        decoder_input = self._encode(dataset, rows, output=self.module.decoder_reads)
        self._fit_count_calibration(self._reconstructed(decoder_input, dataset.features, rows), rows)

    def _fit_count_calibration(self, features: np.ndarray, rows: np.ndarray) -> None:
        """Fit expected counts to the decoded features of some training spots."""
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
