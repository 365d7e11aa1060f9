"""AESTETIK as users call it; the method is in :mod:`spotscape.module` and :mod:`spotscape.nn`."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from anndata import AnnData
from mudata import MuData
from numpy.typing import NDArray
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

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
    """Expression, histology and neighbourhood of many samples in one space :cite:p:`Nonchev2024,Dai2026`.

    Each modality is corrected for differences between samples by itself and clustered over all samples. A window
    auto-encoder then learns, from the windows of spots, a representation in which spots of one cluster lie together,
    whatever sample they come from, and those of others lie apart. No label is used. Samples may lack the image.

    Parameters
    ----------
    adata
        AnnData or MuData that :meth:`setup_anndata` or :meth:`setup_mudata` was called on.
    registry
        Filled in by scvi-tools when a model is loaded without data.
    n_clusters
        Number of clusters that each modality is cut into for the triplets, and that :meth:`get_clusters` gives: about
        the number of kinds of tissue that one expects.
    window
        Number of rings of spots around a spot that it is seen with, 0 for none. ``None``: by the size of the slices,
        see :func:`~spotscape.graph.default_window`. Outer rings count less, see
        :func:`~spotscape.graph.default_ring_weights`.
    layout
        ``"hexagonal"``, ``"square"``, ``"irregular"``, or ``"auto"``, which recognises how the spots of each slice lie;
        see :func:`~spotscape.graph.build_windows`.
    rna_correction, image_correction
        How differences between slices are removed from each modality: ``"none"``, ``"centre"``, ``"combat"``,
        ``"harmony"``, or ``"precomputed"`` for features from which they have been removed already, as in the latent
        space of scVI; see :class:`~spotscape.preprocessing.Modality`. ``None``: by Harmony where several slices have
        the modality, which, unlike the shifts of whole slices, does not suppose that all show the same parts.
    image_weight
        Share of the image in the losses and in the windows, from 0 to 1; expression has the rest. ``None``: a half;
        less where expression predicts less than about 2 % of the variance of image features in parts of the tissue that
        were held out, down to nothing for an image that has nothing to do with expression
        (:func:`~spotscape.preprocessing.explained_share`); and less the more the images of slices differ after their
        correction, down to nothing where no spot has a neighbour in another slice
        (:func:`~spotscape.preprocessing.slice_mixing`).
    cross_sample_positives
        Whether triplets draw spots of one cluster from different slices, and spots of different clusters from one.
    n_hidden, n_latent
        Widths of the hidden layer of the decoder and of the latent representation.
    reconstruction_weight, triplet_weight
        Weights of the reconstruction of windows and of the triplets; 0 switches one off.
    margin
        How much farther than a spot of its own cluster one of another should be from a spot, as a share of the distance
        between the two clusters in the windows' features. So clusters that hardly differ are not driven apart, and a
        modality counts as much as its weight.
    n_top_genes, n_components
        Numbers of highly variable genes and of principal components of counts, see
        :class:`~spotscape.preprocessing.Preprocessor`.
    seed
        Seed of weights, triplets, clusters and corrections. ``None``: that of ``scvi.settings``, or 0.
    preprocessing
        Filled in when a model is loaded.

    Examples
    --------
    >>> adata = spotscape.datasets.synthetic_modalities()
    >>> spotscape.AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image", slice_key="slice")
    >>> model = spotscape.AESTETIK(adata, n_clusters=8)
    >>> model.train()
    >>> adata.obsm["X_aestetik"] = model.get_latent_representation()

    Notes
    -----
    See further the user guide, :doc:`/user_guide/aestetik`.
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

        Everything is checked first; if anything is wrong the AnnData stays as it was.

        Parameters
        ----------
        %(param_adata)s
        rna_key
            Layer with counts, which go through the package's preprocessing, or key of ``adata.obsm`` with features,
            such as a corrected representation or the embedding of a foundation model. ``None``: ``adata.X``.
        image_key
            Key of ``adata.obsm`` with image features, such as those of ``spotscape.pp.image_features``; rows of NaN
            for spots without an image. ``None``: expression only.
        %(slices)s

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
            Modality with the expression of all spots; it also holds the slices and the coordinates.
        image_modality
            Modality with the image features, which may lack spots. ``None``: expression only.
        rna_key
            Layer, or key of ``obsm``, of the modality with the expression. ``None``: its ``X``.
        image_key
            Key of ``obsm`` of the image modality. ``None``: its ``X``.
        slice_key, spatial_key, size_factor_key, values
            As in :meth:`setup_anndata`, within the modality with the expression.

        Returns
        -------
        %(returns)s
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
        **trainer_kwargs: Any,
    ) -> None:
        """Cluster each modality over all samples, and train the model.

        Parameters
        ----------
        %(max_epochs)s
        lr
            Largest learning rate.
        weight_decay
            Weight decay.
        %(schedule)s
        batch_size
            Number of spots of a step, among which triplets are drawn. ``None``: all of them up to 10,000, and 8,192 of
            more.
        %(training)s
        """
        run = TrainingRun(self, locals())
        dataset = self._dataset(self.adata_manager)
        dataset.clusters = self.pipelines.find_clusters(
            dataset.features, dataset.windows, self.n_clusters, seed=self.seed
        )
        run.start(dataset)

    @docs.dedent
    def get_clusters(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Cluster of each spot in the latent space, which means the same in every sample, also in new ones.

        The clusters were found after training, in up to 4,096 training spots. To refine domains in space, inside each
        slice, use :func:`spotscape.tl.domains` on the latent representation with its ``smoothing``.

        Parameters
        ----------
        %(spots)s

        Returns
        -------
        Codes from 0 to ``n_clusters - 1``. ``(n_spots,)``.
        """
        latent = self.get_latent_representation(adata, indices, batch_size)
        return SharedCovarianceMixture.from_state(self.cluster_model_).predict(latent)

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
        """Features that the decoder expects of each spot, without the differences between slices.

        Parameters
        ----------
        modality
            ``"rna"`` or ``"image"``. Spots without an image get what is expected of one.
        adata, indices, batch_size
            As in :meth:`get_latent_representation`.
        gene_list
            Genes to return, where the model was set up with counts. ``None``: all.

        Returns
        -------
        Features in the units in which they were given, ``(n_spots, n_columns)``; for counts, log-normalised expression,
        ``(n_spots, n_genes)``.

        Raises
        ------
        ValueError
            If the model has no such modality, or genes are asked for where there are none.
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

    def get_modality_weights(self) -> dict[str, float]:
        """Share of each modality in the losses and in the windows; they sum to 1."""
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


_RULES: dict[str, Rule] = {
    "n_clusters": integer(2),
    "n_hidden n_latent n_top_genes": integer(1),
    "window": optional(integer(0)),
    "n_components": optional(integer(1)),
    "reconstruction_weight triplet_weight margin": number(0),
    "image_weight": optional(number(0, 1)),
    "layout": choice(LAYOUTS),
    "rna_correction image_correction": optional(choice(MODALITY_CORRECTIONS)),
    "cross_sample_positives": check_flag,
    "seed": optional(integer(0)),
}
