"""The AESTETIK model. Its equations are in :mod:`spotscape.module` and :mod:`spotscape.nn`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from anndata import AnnData
from mudata import MuData
from numpy.typing import NDArray
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

from spotscape._arguments import MODEL_RULES
from spotscape._constants import FIELD_KEYS
from spotscape._validate import Rule, check_arguments, check_choice, check_flag, choice, integer, number, optional
from spotscape.cluster import SharedCovarianceMixture, fit_shared_mixture
from spotscape.data import ExpressionField, WindowDataset
from spotscape.data._fields import (
    registered_coordinates,
    registered_expression,
    registered_features,
    registered_slices,
)
from spotscape.graph._windows import LAYOUTS, default_ring_weights
from spotscape.model._base import LatentModel
from spotscape.model._docs import docs
from spotscape.model._setup import register
from spotscape.model._training import TrainingRun
from spotscape.module import AestetikModule
from spotscape.preprocessing import Expression
from spotscape.preprocessing._modalities import MODALITY_CORRECTIONS, ModalityPipelines

_DECODING_BATCH_SIZE = 4096
_N_INIT = 10


class AESTETIK(LatentModel):
    """Joint representation of expression, histology and neighbourhood of many samples :cite:p:`Nonchev2024,Dai2026`.

    Differences between samples are removed from each modality, and each modality is clustered over all samples. An
    autoencoder of the windows of the spots then learns a representation in which spots of the same cluster are close,
    whatever their sample, and spots of different clusters are apart. No labels are used. Samples may lack the image.
    The equations of the losses are those of :class:`~spotscape.module.AestetikModule`; see also
    :doc:`/user_guide/aestetik`.

    Parameters
    ----------
    adata
        AnnData or MuData that :meth:`setup_anndata` or :meth:`setup_mudata` was called on.
    n_clusters
        Number of clusters of each modality, from which triplets are drawn, and of :meth:`get_clusters`. It should be
        about the expected number of tissue types.
    window
        Number of rings of spots in the window around each spot; 0 is the spot alone. ``None``: chosen from the number
        of spots per slice by :func:`~spotscape.graph.default_window`. Outer rings have lower weights, see
        :func:`~spotscape.graph.default_ring_weights`.
    layout
        Arrangement of the spots: ``"hexagonal"``, ``"square"``, ``"irregular"``, or ``"auto"``, which detects it in
        each slice; see :func:`~spotscape.graph.build_windows`.
    rna_correction, image_correction
        How differences between slices are removed from each modality: ``"none"``, ``"centre"``, ``"combat"``,
        ``"harmony"``, or ``"precomputed"`` for features that are already corrected, such as the latent space of scVI.
        ``None``: ``"harmony"`` if several slices have the modality. Unlike a shift of whole slices, Harmony does not
        assume that all slices show the same regions.
    image_weight
        Weight of the image in the losses and in the windows, from 0 to 1; expression has the rest. ``None``: 0.5, and
        less, down to 0, if expression predicts less than about 2 % of the variance of the image features in held-out
        regions, or if the image features of the slices still differ after their correction.
    cross_sample_positives
        Whether triplets take spots of the same cluster from different slices, and spots of different clusters from the
        same slice.
    n_hidden, n_latent
        Number of hidden units of the decoder, and of dimensions of the latent representation.
    reconstruction_weight, triplet_weight
        Weights of the reconstruction loss and the triplet loss. 0 switches a loss off.
    margin
        Margin of the triplet loss, as a fraction of the distance between the two clusters in the features of the
        windows. Clusters that hardly differ are therefore not pushed apart.
    n_top_genes, n_components
        Number of highly variable genes and of principal components, if the data are counts; see
        :class:`~spotscape.preprocessing.Preprocessor`.
    seed
        Random seed of the weights, triplets, clusters and corrections. ``None``: the seed of ``scvi.settings``, or 0.
    registry, preprocessing
        Set when a model is loaded.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or does not apply to the data.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_modalities(n_slices=2, n_spots=60, n_genes=40)
    >>> sps.AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image", slice_key="slice")
    >>> model = sps.AESTETIK(adata, n_clusters=4, image_weight=0.5)
    >>> model.train(max_epochs=2)
    >>> adata.obsm["X_aestetik"] = model.get_latent_representation()
    >>> adata.obsm["X_aestetik"].shape
    (120, 16)
    """

    _module_cls = AestetikModule

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict | None = None,
        *,
        n_clusters: int = 10,
        window: int | None = None,
        layout: Literal["auto", "hexagonal", "square", "irregular"] = "auto",
        rna_correction: Literal["none", "centre", "combat", "harmony", "precomputed"] | None = None,
        image_correction: Literal["none", "centre", "combat", "harmony", "precomputed"] | None = None,
        image_weight: float | None = None,
        cross_sample_positives: bool = True,
        n_hidden: int = 64,
        n_latent: int = 16,
        reconstruction_weight: float = 1.0,
        triplet_weight: float = 1.0,
        margin: float = 1.0,
        n_top_genes: int = 3000,
        n_components: int | None = None,
        seed: int | None = None,
        preprocessing: dict[str, Any] | None = None,
    ):
        check_arguments(locals(), _RULES)
        super().__init__(adata, registry, seed=seed)
        if preprocessing is not None:
            self.pipelines = ModalityPipelines.from_state(preprocessing)
        else:
            self._check_has_data(adata)
            values = self._registered_values(self.adata_manager)
            if image_weight is not None and "image" not in values:
                raise ValueError(
                    f"`image_weight` is {image_weight}, but the data was set up without an image; leave it out."
                )
            n_spots = self.adata_manager.adata.n_obs
            if n_clusters >= n_spots:
                raise ValueError(f"`n_clusters` is {n_clusters}, but there are only {n_spots} spots; lower it.")
            self.pipelines, axes = ModalityPipelines.fit(
                values,
                registered_slices(self.adata_manager)[1],
                registered_coordinates(self.adata_manager),
                window=window,
                layout=layout,
                corrections={"rna": rna_correction, "image": image_correction},
                image_weight=image_weight,
                n_top_genes=n_top_genes,
                n_components=n_components,
                n_latent=n_latent,
                seed=self.seed,
            )
        self.n_clusters = n_clusters
        modality_weights = self.pipelines.weights
        ring_weights = default_ring_weights(self.pipelines.window).tolist()
        self.module = self._make_module(self.pipelines.n_features, arguments=locals())
        if preprocessing is None:
            self.module.set_axes(torch.from_numpy(axes), self.pipelines.scale)
        widths = ", ".join(f"{width} of {name}" for name, width in self.pipelines.n_features.items())
        self._model_summary_string = (
            f"AESTETIK with features {widths}, n_latent {n_latent}, windows of {self.pipelines.window} ring(s)"
        )
        self._remember(locals(), self.pipelines.get_state())

    @classmethod
    @docs.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        rna_key: str | None = None,
        image_key: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        **kwargs: Any,
    ) -> None:
        """%(summary)s

        The data are checked before anything is written. If a check fails, the AnnData is unchanged.

        Parameters
        ----------
        %(param_adata)s
        rna_key
            Layer with expression, which the model preprocesses, or key of ``adata.obsm`` with features, such as a
            corrected representation or the embedding of a foundation model. ``None``: ``adata.X``.
        image_key
            Key of ``adata.obsm`` with image features, such as those of :func:`spotscape.pp.image_features`. Spots
            without an image have NaN in all columns. ``None``: expression only.
        %(slices)s

        %(setup_results)s

        %(setup_modalities_example)s
        """
        register(cls, adata, cls._get_setup_method_args(**locals()), kwargs)

    @classmethod
    @docs.dedent
    def setup_mudata(
        cls,
        mdata: MuData,
        modality: str = "rna",
        image_modality: str | None = "image",
        rna_key: str | None = None,
        image_key: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        **kwargs: Any,
    ) -> None:
        """%(summary_mdata)s

        Parameters
        ----------
        %(param_mdata)s
        modality
            Modality with the expression of all spots, the slices and the coordinates.
        image_modality
            Modality with the image features. It may lack spots. ``None``: expression only.
        rna_key
            Layer or key of ``obsm`` with the expression, in ``modality``. ``None``: ``X``.
        image_key
            Key of ``obsm`` with the image features, in ``image_modality``. ``None``: ``X``.
        slice_key, spatial_key, size_factor_key, values
            As in :meth:`setup_anndata`, within ``modality``.

        %(setup_results)s

        %(setup_two_modalities_example)s
        """
        register(cls, mdata, cls._get_setup_method_args(**locals()), kwargs)

    @docs.dedent
    def train(
        self,
        max_epochs: int | None = None,
        *,
        lr: float = 3e-4,
        weight_decay: float = 1e-6,
        schedule: Literal["one-cycle", "constant"] = "one-cycle",
        batch_size: int | None = None,
        train_size: float | None = None,
        validation_size: float | None = None,
        early_stopping: bool = False,
        early_stopping_patience: int = 30,
        early_stopping_min_change: float = 1e-3,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        plan_kwargs: dict[str, Any] | None = None,
        datasplitter_kwargs: dict[str, Any] | None = None,
        checkpoint_dir: str | Path | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Cluster each modality over all samples, and train the model.

        Parameters
        ----------
        %(max_epochs)s
        %(optimiser)s
        %(schedule)s
        batch_size
            Number of spots per training step, among which triplets are drawn. ``None``: all, or 8,192 above 10,000.
        %(training)s

        %(training_errors)s

        %(train_modalities_example)s
        """
        run = TrainingRun(self, locals())
        dataset = self._dataset(self.adata_manager)
        features, windows = dataset.features, dataset.windows
        dataset.clusters = self.pipelines.find_clusters(features, windows, self.n_clusters, seed=self.seed)
        run.start(dataset)

    @docs.dedent
    def get_clusters(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Cluster of each spot in the latent space. The clusters are the same in all samples and in new data.

        They are found after training in at most 4,096 training spots. For domains that are smoothed in space, use
        :func:`spotscape.tl.domains`.

        Parameters
        ----------
        %(spots)s

        Returns
        -------
        Integers from 0 to ``n_clusters - 1``. ``(n_spots,)``.

        %(not_trained)s

        %(clusters_example)s
        """
        latent = self.get_latent_representation(adata, indices, batch_size)
        return SharedCovarianceMixture.from_state(self.cluster_model_).predict(latent)

    @docs.dedent
    @torch.inference_mode()
    def get_reconstruction(
        self,
        modality: Literal["rna", "image"] = "rna",
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
        *,
        gene_list: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Decoded features of each spot, without the differences between slices.

        Parameters
        ----------
        modality
            ``"rna"`` or ``"image"``. Image features are also predicted for spots without an image.
        adata, indices, batch_size
            As in :meth:`get_latent_representation`.
        gene_list
            Genes to return, if the model was set up with expression. ``None``: all genes.

        Returns
        -------
        Features in the units of the input, ``(n_spots, n_columns)``; for expression, log-normalised expression,
        ``(n_spots, n_genes)``.

        Raises
        ------
        RuntimeError
            If the model has not been trained.
        ValueError
            If the model does not have the modality, or has no genes but ``gene_list`` is given.

        %(reconstruction_example)s
        """
        check_choice(modality, tuple(self.pipelines.n_features), "modality")
        pipeline = self.pipelines.pipelines[modality]
        if gene_list is not None and not pipeline.reads_expression:
            raise ValueError("`gene_list` is given, but what is reconstructed has no genes; leave it out.")
        latent = torch.from_numpy(self.get_latent_representation(adata, indices, batch_size))
        blocks = (
            self.module.reconstruct(block, modality).cpu().numpy() for block in latent.split(_DECODING_BATCH_SIZE)
        )
        return np.concatenate([pipeline.inverse_transform(block, genes=gene_list) for block in blocks])

    @docs.dedent
    def get_modality_weights(self) -> dict[str, float]:
        """Weight of each modality in the losses and in the windows. The weights sum to 1.

        %(modality_weights_example)s
        """
        return dict(self.pipelines.weights)

    def _registered_values(self, manager: AnnDataManager) -> dict[str, Expression | NDArray[np.float64]]:
        """Expression or features of each modality."""
        is_expression = ExpressionField.VALUES_KEY in manager.get_state_registry(REGISTRY_KEYS.X_KEY)
        values = {"rna": registered_expression(manager) if is_expression else registered_features(manager, "X")}
        if FIELD_KEYS.IMAGE in manager.data_registry:
            values["image"] = registered_features(manager, FIELD_KEYS.IMAGE)
        return values

    def _dataset(self, manager: AnnDataManager) -> WindowDataset:
        codes, names = registered_slices(manager)
        coordinates = registered_coordinates(manager)
        return WindowDataset(
            self.pipelines.transform(self._registered_values(manager), names),
            self.pipelines.windows(coordinates, names),
            codes,
            coordinates,
        )

    def _after_training(self, dataset: WindowDataset) -> None:
        rows = self._reference_rows()
        self._fit_novelty(dataset, rows)
        mixture = fit_shared_mixture(self._encode(dataset, rows), self.n_clusters, n_init=_N_INIT, seed=self.seed)
        self.cluster_model_ = mixture.get_state()


_RULES: dict[str, Rule] = MODEL_RULES | {
    "n_clusters": integer(2),
    "n_hidden n_latent n_top_genes": integer(1),
    "window": optional(integer(0)),
    "n_components": optional(integer(1)),
    "reconstruction_weight triplet_weight margin": number(0),
    "image_weight": optional(number(0, 1)),
    "layout": choice(LAYOUTS),
    "rna_correction image_correction": optional(choice(MODALITY_CORRECTIONS)),
    "cross_sample_positives": check_flag,
}
