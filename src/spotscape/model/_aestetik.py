"""AESTETIK as users call it; the method is in :mod:`spotscape.module` and :mod:`spotscape.nn`."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from anndata import AnnData
from mudata import MuData
from scvi.data import AnnDataManager

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.cluster import SharedMixture
from spotscape.data import WindowDataLoader, WindowDataSplitter
from spotscape.graph._windows import LAYOUTS
from spotscape.model._base import LatentModel
from spotscape.model._modality_path import ModalityPath
from spotscape.model._modality_setup import ModalitySetupMixin, check_modality_data
from spotscape.module import AestetikModule
from spotscape.preprocessing import CORRECTIONS

_DECODED_AT_ONCE = 4096
_N_INIT = 10


class AESTETIK(ModalitySetupMixin, LatentModel):
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
    _data_loader_cls = WindowDataLoader
    _data_splitter_cls = WindowDataSplitter

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
        _check_model_arguments(locals())
        super().__init__(adata, registry, seed=seed)
        if preprocessing is not None:
            self.path = ModalityPath.from_state(preprocessing)
        else:
            self._check_has_data(adata)
            self.path = ModalityPath.fit(
                self.adata_manager,
                n_clusters=n_clusters,
                window=window,
                layout=layout,
                corrections={"rna": rna_correction, "image": image_correction},
                image_weight=image_weight,
                n_top_genes=n_top_genes,
                n_components=n_components,
                seed=self.seed,
            )
        self.n_clusters = n_clusters
        self.module = self._module_cls(
            self.path.n_features,
            self.path.ring_weights,
            n_clusters=n_clusters,
            modality_weights=self.path.weights,
            cross_sample_positives=cross_sample_positives,
            n_hidden=n_hidden,
            n_latent=n_latent,
            reconstruction_weight=reconstruction_weight,
            triplet_weight=triplet_weight,
            margin=margin,
            seed=self.seed,
        )
        if preprocessing is None:
            axes = self.path.start_axes(self.adata_manager, n_latent)
            self.module.set_axes(torch.from_numpy(axes), self.path.scale)
        widths = ", ".join(f"{width} of {name}" for name, width in self.path.n_features.items())
        self._model_summary_string = (
            f"AESTETIK with features {widths}, n_latent {n_latent}, windows of {self.path.window} ring(s)"
        )
        self.init_params_ = self._get_init_params(locals())
        self.init_params_["non_kwargs"] |= {"preprocessing": self.path.get_state(), "seed": self.seed}

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
        max_epochs
            Number of passes through the spots. ``None``: by the number of spots, see
            :func:`~spotscape.train.default_n_steps`, and at least 20, which see a part of the spots each where there
            are very many.
        lr
            Largest learning rate.
        weight_decay
            Weight decay.
        schedule
            How the learning rate goes; see :class:`~spotscape.train.ScheduledTrainingPlan`.
        batch_size
            Number of spots a step, among which triplets are drawn. ``None``: all of them up to 10,000, 8,192 of more.
        train_size, validation_size, early_stopping, early_stopping_patience, early_stopping_min_change, accelerator
            As in :meth:`spotscape.SPOTSCAPE.train`.
        devices, plan_kwargs, datasplitter_kwargs, **trainer_kwargs
            As in :meth:`spotscape.SPOTSCAPE.train`.
        """
        max_epochs, batch_size = self._start_training(max_epochs, batch_size, trainer_kwargs)
        clusters = self.path.find_clusters(self.adata_manager, self.n_clusters, seed=self.seed)
        self._run_training(
            max_epochs=max_epochs,
            batch_size=batch_size,
            patch_size=None,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            early_stopping=early_stopping,
            early_stopping_patience=early_stopping_patience,
            early_stopping_min_change=early_stopping_min_change,
            first_comparable_epoch=0,
            own_callbacks=[],
            train_size=train_size,
            validation_size=validation_size,
            accelerator=accelerator,
            devices=devices,
            plan_kwargs=plan_kwargs,
            datasplitter_kwargs={"clusters": clusters} | (datasplitter_kwargs or {}),
            **trainer_kwargs,
        )

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
        adata, indices, batch_size
            As in :meth:`get_latent_representation`.

        Returns
        -------
        Codes from 0 to ``n_clusters - 1``. ``(n_spots,)``.
        """
        latent = self.get_latent_representation(adata, indices, batch_size)
        return SharedMixture.from_state(self.cluster_model_).predict(latent)

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
        check_choice(modality, tuple(self.path.n_features), "modality")
        if gene_list is not None and (modality != "rna" or self.path.preprocessor is None):
            raise ValueError("`gene_list` is given, but what is reconstructed has no genes; leave it out.")
        latent = torch.from_numpy(self.get_latent_representation(adata, indices, batch_size))
        blocks = (self.module.reconstruct(block, modality).cpu().numpy() for block in latent.split(_DECODED_AT_ONCE))
        return np.concatenate([self.path.inverse_transform(modality, block, genes=gene_list) for block in blocks])

    def get_modality_weights(self) -> dict[str, float]:
        """Share of each modality in the losses and in the windows; they sum to 1."""
        return dict(self.path.weights)

    def _check_new_data(self, adata: AnnData | MuData) -> None:
        check_modality_data(adata, self.registry_["setup_args"], self.registry_)

    def _uncorrected_latent(self, manager: AnnDataManager, rows: np.ndarray, latent: np.ndarray) -> np.ndarray:
        if not self.path.is_corrected:
            return latent
        features = self.path.features(manager, corrected=False)
        return self._encode(manager, rows, None, self._loader_arguments(manager) | {"features": features})

    def _loader_arguments(self, manager: AnnDataManager) -> dict[str, Any]:
        features = self.path.features(manager)
        return {"features": features, "windows": self.path.windows(manager), "seed": self.seed}

    def _after_training(self, loader_arguments: dict[str, Any]) -> None:
        rows = self._some_training_spots()
        latent = self._encode(self.adata_manager, rows, None, loader_arguments)
        self._fit_novelty(self._uncorrected_latent(self.adata_manager, rows, latent), rows)
        mixture = SharedMixture().fit(latent, self.n_clusters, n_init=_N_INIT, seed=self.seed)
        self.cluster_model_ = mixture.get_state()


def _check_model_arguments(arguments: dict[str, Any]) -> None:
    check_integer(arguments["n_clusters"], "n_clusters", minimum=2)
    for name in ("n_hidden", "n_latent", "n_top_genes"):
        check_integer(arguments[name], name, minimum=1)
    for name, minimum in (("window", 0), ("n_components", 1)):
        if arguments[name] is not None:
            check_integer(arguments[name], name, minimum=minimum)
    for name in ("reconstruction_weight", "triplet_weight"):
        check_number(arguments[name], name, minimum=0)
    check_number(arguments["margin"], "margin", minimum=0)
    if arguments["image_weight"] is not None:
        check_number(arguments["image_weight"], "image_weight", minimum=0, maximum=1)
    check_choice(arguments["layout"], LAYOUTS, "layout")
    for name in ("rna_correction", "image_correction"):
        if arguments[name] is not None:
            check_choice(arguments[name], CORRECTIONS, name)
    check_choice(arguments["cross_sample_positives"], (True, False), "cross_sample_positives")
    if arguments["seed"] is not None:
        check_integer(arguments["seed"], "seed", minimum=0)
