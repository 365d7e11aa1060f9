"""The AESTETIK model. Its equations are in :mod:`spotscape.module` and :mod:`spotscape.nn`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from anndata import AnnData
from mudata import MuData
from scvi.data import AnnDataManager

from spotscape._constants import BATCH_KEYS
from spotscape._validate import check_arguments, check_choice
from spotscape.cluster import SharedCovarianceMixture, fit_shared_mixture
from spotscape.data import LatticeWindowDataset, SpotDataLoader, SpotDataset, WindowDataset
from spotscape.data._fields import registered_coordinates, registered_slices
from spotscape.graph._lattice_windows import NoLatticeError, build_lattice_windows
from spotscape.graph._windows import default_ring_weights
from spotscape.model._aestetik_presets import (
    N_INIT,
    PRESETS,
    RULES,
    check_encoder,
    mixture_clusters,
    preprocessing_arguments,
    resolve,
)
from spotscape.model._docs import documented
from spotscape.model._modality_model import ModalityModel
from spotscape.model._training import TrainingRun
from spotscape.module import AestetikConvolutionModule, AestetikModule
from spotscape.preprocessing._modalities import ModalityPipelines
from spotscape.train._defaults import batch_size_of_settings

_DECODING_BATCH_SIZE = 4096
#: Largest number of spots whose square windows are gathered at a time, if the user gives none.
_CONVOLUTION_BATCH_SIZE = 8192
_MODULES: dict[str, Any] = {"linear": AestetikModule, "convolution": AestetikConvolutionModule}


class AESTETIK(ModalityModel):
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
    preset
        Source of the values of arguments that are ``None``, here and in :meth:`train`. ``None``: our own method.
        ``"paper"``: the published method, with the convolutional encoder, square windows, principal components,
        weights and training of the released code. ``"released"``: the same, with the representation averaged over
        random dropout masks as in the released code. Both need a lattice. See :doc:`/user_guide/aestetik`.
    encoder
        ``"linear"``: the average of the window, projected on trained axes. ``"convolution"``: the published
        convolutional autoencoder of square windows, :class:`~spotscape.module.AestetikConvolutionModule`; features
        are scaled to the range from 0 to 1, and clustered by a Gaussian mixture. ``None``: ``"linear"``, or
        ``"convolution"`` in the presets.
    n_clusters
        Number of clusters of each modality, from which triplets are drawn, and of :meth:`get_clusters`. It should be
        about the expected number of tissue types.
    window
        Number of rings of spots in the window around each spot; 0 is the spot alone. ``None``: chosen from the number
        of spots per slice by :func:`~spotscape.graph.default_window`. Outer rings have lower weights, see
        :func:`~spotscape.graph.default_ring_weights`. For the convolution, the number of lattice sites on each side of
        the spot, see :func:`~spotscape.graph.build_lattice_windows`; ``None``: 3, which gives 7 x 7 sites.
    layout
        Arrangement of the spots: ``"hexagonal"``, ``"square"``, ``"irregular"``, or ``"auto"``, which detects it in
        each slice; see :func:`~spotscape.graph.build_windows`. The convolution needs a lattice.
    n_members
        Number of encoders and of decoders, whose median is taken in each dimension. ``None``: 3 for the convolution,
        and 1 for the linear encoder, whose members would be equal.
    n_dropout_passes
        Number of dropout masks of the convolution over which the representation is averaged; the masks are the same in
        each call and for all spots. 0: no dropout after training. ``None``: 0, or 1,000 in the preset ``"released"``.
    rna_correction, image_correction
        How differences between slices are removed from each modality: ``"none"``, ``"centre"``, ``"combat"``,
        ``"harmony"``, or ``"precomputed"`` for features that are already corrected, such as the latent space of scVI.
        ``None``: ``"harmony"`` if several slices have the modality, or ``"none"`` in the presets. Unlike a shift of
        whole slices, Harmony does not assume that all slices show the same regions.
    image_weight
        Weight of the image in the losses and in the windows, from 0 to 1; expression has the rest. ``None``: 0.5, and
        less, down to 0, if expression predicts less than about 2 % of the variance of the image features in held-out
        regions, or if the image features of the slices still differ after their correction. In the presets always 0.5.
    cross_sample_positives
        Whether triplets take spots of the same cluster from different slices, and spots of different clusters from the
        same slice. ``None``: ``True``, or ``False`` in the presets.
    n_hidden, n_latent
        Number of hidden units of the decoder, or of kernels of each convolution, and of dimensions of the latent
        representation.
    reconstruction_weight, triplet_weight
        Weights of the reconstruction loss and the triplet loss. 0 switches a loss off. ``None``: 1, or 3 in the
        presets, where the weights of the modalities sum to 3.
    margin
        Margin of the triplet loss, as a fraction of the distance between the two clusters in the features of the
        windows. Clusters that hardly differ are therefore not pushed apart. For the convolution, the margin itself.
    n_top_genes
        Number of highly variable genes, if the data are expression. ``None``: 3,000. In the presets: all genes that are
        detected in 10 spots and whose standardised variance is at least 1, if the data are counts.
    n_components
        Number of principal components of expression. ``None``: see
        :func:`~spotscape.preprocessing.default_n_components`, or 15 in the presets, which also reduce other features to
        15 components.
    target_sum
        Total of each spot before the logarithm. ``None``: the median total, or 10,000 in the presets.
    seed
        Random seed of the weights, triplets, clusters and corrections. ``None``: the seed of ``scvi.settings``, or 0.
    extra_payload_autotune
        Set by :func:`scvi.autotune.run_autotune` for scib metrics. The data must be set up with ``labels_key``.
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

    The published method:

    >>> sps.AESTETIK(adata, preset="paper", n_clusters=4).get_modality_weights()
    {'rna': 0.5, 'image': 0.5}
    """

    _module_cls = AestetikModule

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict | None = None,
        *,
        preset: Literal["paper", "released"] | None = None,
        encoder: Literal["linear", "convolution"] | None = None,
        n_clusters: int = 10,
        window: int | None = None,
        layout: Literal["auto", "hexagonal", "square", "irregular"] = "auto",
        n_members: int | None = None,
        n_dropout_passes: int | None = None,
        rna_correction: Literal["none", "centre", "combat", "harmony", "precomputed"] | None = None,
        image_correction: Literal["none", "centre", "combat", "harmony", "precomputed"] | None = None,
        image_weight: float | None = None,
        cross_sample_positives: bool | None = None,
        n_hidden: int = 64,
        n_latent: int = 16,
        reconstruction_weight: float | None = None,
        triplet_weight: float | None = None,
        margin: float = 1.0,
        n_top_genes: int | None = None,
        n_components: int | None = None,
        target_sum: float | None = None,
        seed: int | None = None,
        extra_payload_autotune: bool = False,
        preprocessing: dict[str, Any] | None = None,
    ):
        check_choice(preset, tuple(PRESETS), "preset")
        check_choice(encoder, (None, "linear", "convolution"), "encoder")
        settings = resolve(preset, locals())
        check_arguments(locals() | settings, RULES)
        check_encoder(preset, settings, layout)
        super().__init__(adata, registry, seed=seed)
        self.preset, self._module_cls = preset, _MODULES[settings["encoder"]]
        axes, lattice = None, settings["encoder"] == "convolution"
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
            names, coordinates = registered_slices(self.adata_manager)[1], registered_coordinates(self.adata_manager)
            if lattice:
                _check_lattice(coordinates, names, layout)
            self.pipelines, axes = ModalityPipelines.fit(
                values,
                names,
                coordinates,
                window=settings["window"],
                layout=layout,
                corrections={"rna": settings["rna_correction"], "image": settings["image_correction"]},
                image_weight=settings["image_weight"],
                preprocessor=preprocessing_arguments(locals(), settings, values["rna"], names),
                n_feature_components=PRESETS[preset]["n_feature_components"],
                n_latent=n_latent,
                lattice=lattice,
                seed=self.seed,
            )
        self.n_clusters = n_clusters
        modality_weights = self.pipelines.weights
        width = 2 * self.pipelines.window + 1
        ring_weights = default_ring_weights(self.pipelines.window).tolist()
        self.module = self._make_module(self.pipelines.n_features, arguments=locals() | settings)
        if axes is not None:
            self.module.set_axes(torch.from_numpy(axes), self.pipelines.scale)
        widths = ", ".join(f"{width} of {name}" for name, width in self.pipelines.n_features.items())
        self._model_summary_string = (
            f"AESTETIK with features {widths}, n_latent {n_latent}, "
            + f"windows of {f'{width} x {width} sites' if lattice else f'{self.pipelines.window} ring(s)'}"
            + (f", preset {preset}" if preset else "")
        )
        self.extra_payload_autotune = extra_payload_autotune
        self._remember(locals(), self.pipelines.get_state())

    @documented
    def train(
        self,
        max_epochs: int | None = None,
        *,
        lr: float | None = None,
        weight_decay: float = 1e-6,
        schedule: Literal["one-cycle", "constant"] | None = None,
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
        max_epochs
            Number of passes through the spots. ``None``: as many as give :func:`~spotscape.train.default_n_steps`
            steps, and at least 20, or 100 in the presets.
        lr
            Maximum learning rate. ``None``: 0.0003, or 0.001 in the presets, which also set ``amsgrad``, see
            :class:`~spotscape.train.ScheduledTrainingPlan`.
        weight_decay
            Weight decay of the optimiser.
        schedule
            Learning rate schedule, see :class:`~spotscape.train.ScheduledTrainingPlan`. ``None``: ``"one-cycle"``, or
            ``"constant"`` in the presets.
        batch_size
            Number of spots per training step, among which triplets are drawn. ``None``: all, or 8,192 above 10,000, in
            the presets above 8,192.
        %(training)s

        %(training_errors)s

        %(train_modalities_example)s
        """
        settings = resolve(self.preset, locals())
        if PRESETS[self.preset]["amsgrad"]:
            settings["plan_kwargs"] = {"amsgrad": True} | (plan_kwargs or {})
        run = TrainingRun(self, locals() | settings)
        dataset = self._dataset(self.adata_manager)
        features, windows = dataset.features, dataset.windows
        dataset.clusters = self.pipelines.find_clusters(
            features, windows, self.n_clusters, seed=self.seed, cluster_spots=mixture_clusters
        )
        run.start(dataset)

    @documented
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

    @documented
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

    @documented
    def get_modality_weights(self) -> dict[str, float]:
        """Weight of each modality in the losses and in the windows. The weights sum to 1.

        %(modality_weights_example)s
        """
        return dict(self.pipelines.weights)

    def _dataset(self, manager: AnnDataManager) -> WindowDataset:
        codes, names = registered_slices(manager)
        coordinates = registered_coordinates(manager)
        kind = LatticeWindowDataset if self.pipelines.lattice else WindowDataset
        return kind(
            self.pipelines.transform(self._registered_values(manager), names),
            self.pipelines.windows(coordinates, names),
            codes,
            coordinates,
        )

    def _encode(
        self, dataset: SpotDataset, indices: np.ndarray, batch_size: int | None = None, *args: Any
    ) -> np.ndarray:
        if batch_size is None and self.pipelines.lattice:
            batch_size = min(len(indices), batch_size_of_settings() or _CONVOLUTION_BATCH_SIZE)
        return super()._encode(dataset, indices, batch_size, *args)

    def _after_training(self, dataset: WindowDataset) -> None:
        if isinstance(self.module, AestetikConvolutionModule):
            trained = np.sort(np.asarray(self.train_indices_))
            loader = SpotDataLoader(dataset, indices=trained, batch_size=min(len(trained), _CONVOLUTION_BATCH_SIZE))
            self.module.after_training(batch[BATCH_KEYS.WINDOWS] for batch in loader)
        rows = self._reference_rows()
        self._fit_novelty(dataset, rows)
        mixture = fit_shared_mixture(self._encode(dataset, rows), self.n_clusters, n_init=N_INIT, seed=self.seed)
        self.cluster_model_ = mixture.get_state()


def _check_lattice(coordinates: Any, names: Any, layout: str) -> None:
    """Raise ``ValueError`` if the spots of a slice are on no lattice."""
    try:
        build_lattice_windows(coordinates, names, width=1, layout=layout)
    except NoLatticeError as error:
        raise ValueError(
            "`encoder` is 'convolution', which the presets set as well, and needs a lattice; pass `encoder='linear'` "
            f"without a preset. {error}"
        ) from error
