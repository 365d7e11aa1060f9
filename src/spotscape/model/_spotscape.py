"""The model that users call; the method is in :mod:`spotscape.module` and :mod:`spotscape.nn`."""

import warnings
from collections.abc import Sequence
from typing import Any, Literal

from anndata import AnnData
from mudata import MuData

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.model._spatial import SpatialModel
from spotscape.module import SpotscapeModule
from spotscape.train import PrototypeWarmup


class SPOTSCAPE(SpatialModel):
    """Siamese graph encoder for spatial domains, denoising and integration :cite:p:`Oh2025`.

    A graph encoder sees two augmented views of the tissue and learns to give every pair of spots the same similarity in
    both, so that the representation of a spot knows its neighbourhood and the whole tissue. Between slices,
    similarities are brought to one scale and spots are drawn to shared prototypes, which removes batch effects. No
    label is used.

    Parameters
    ----------
    adata
        AnnData or MuData that :meth:`setup_anndata` or :meth:`setup_mudata` was called on.
    registry
        Filled in by scvi-tools when a model is loaded without data.
    n_hidden
        Width of the hidden layers of encoder and decoder.
    n_latent
        Width of the latent representation.
    n_layers
        Number of graph convolutions; a spot sees as many hops.
    features
        What the encoder reads and the decoder reconstructs: ``"components"``, the principal components of scaled
        log-normalised expression, or ``"genes"``, the log-normalised selected genes themselves, as published.
        Components cost a small part and are less noisy.
    n_top_genes
        Number of highly variable genes that are selected.
    n_components
        Number of principal components. ``None``: by the size of the slices, see
        :func:`~spotscape.preprocessing.default_n_components`.
    scale_power
        Power of its standard deviation that each component is divided by. ``None``: by the size of the slices, see
        :func:`~spotscape.preprocessing.default_scale_power`.
    slice_correction
        How differences between slices are removed from the components before the encoder: ``"none"`` as published,
        ``"centre"``, ``"combat"`` or ``"harmony"`` :cite:p:`Korsunsky2019`. The encoder averages what is left over
        neighbours, which makes it weigh more. ``None``: by Harmony where there are several slices and features are
        components.
    latent_activation
        ``"linear"``, or ``"relu"`` as published.
    residual
        Whether the encoder adds to the components smoothed over the graph, so that training starts from a good
        representation whatever the seed. ``None``: where features are components and the latent representation is
        linear; genes have no such start, and ReLU would keep what is added at zero.
    batch_norm_momentum
        Weight of the newest batch in the running statistics of batch normalisation, in PyTorch's sense; 0.99 as
        released.
    edge_drop_rate, feature_drop_rate
        Probabilities with which an augmented view loses an edge, or a whole feature.
    telescope_weight, reconstruction_weight, scaling_weight, prototype_weight
        Weights of the similarity telescope, reconstruction, similarity scaling and prototypical contrastive losses; 0
        switches one off. The last two are used where there are several slices, as published.
    n_similar
        Number of most similar spots that similarity scaling compares.
    n_anchors
        Number of spots, drawn anew in each step, that similarity scaling is averaged over; ``None`` for all. The
        default keeps the cost linear in the number of spots.
    n_prototypes
        Numbers of prototypes, one for each granularity. The default comes from no annotation; the published code takes
        1, 1.5 and 2 times the number of annotated domains. A granularity of more prototypes than a batch has spots is
        cut down to that.
    temperature
        Temperature of the prototypical contrastive loss.
    prototype_refresh
        Number of steps for which prototypes are kept before k-means moves them on.
    seed
        Seed of weights, augmentation and order. ``None``: that of ``scvi.settings``, or 0.
    preprocessing
        Filled in when a model is loaded.

    Examples
    --------
    >>> adata = spotscape.datasets.synthetic_tissue()
    >>> spotscape.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    >>> model = spotscape.SPOTSCAPE(adata)
    >>> model.train()
    >>> adata.obsm["X_spotscape"] = model.get_latent_representation()

    Notes
    -----
    See further the user guide, :doc:`/user_guide/spotscape`.
    """

    _module_cls = SpotscapeModule

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict | None = None,
        *,
        n_hidden: int = 256,
        n_latent: int = 64,
        n_layers: int = 2,
        features: Literal["components", "genes"] = "components",
        n_top_genes: int = 3000,
        n_components: int | None = None,
        scale_power: float | None = None,
        slice_correction: Literal["none", "centre", "combat", "harmony"] | None = None,
        latent_activation: Literal["linear", "relu"] = "linear",
        residual: bool | None = None,
        batch_norm_momentum: float = 0.1,
        edge_drop_rate: float = 0.2,
        feature_drop_rate: float = 0.2,
        telescope_weight: float = 1.0,
        reconstruction_weight: float = 0.1,
        scaling_weight: float = 1.0,
        prototype_weight: float = 0.01,
        n_similar: int = 5,
        n_anchors: int | None = 512,
        n_prototypes: Sequence[int] = (10, 15, 20),
        temperature: float = 0.75,
        prototype_refresh: int = 5,
        seed: int | None = None,
        preprocessing: dict[str, Any] | None = None,
    ):
        _check_model_arguments(locals())
        n_prototypes = list(n_prototypes)
        super().__init__(
            adata,
            registry,
            preprocessing=preprocessing,
            seed=seed,
            slice_correction=slice_correction,
            n_top_genes=n_top_genes,
            n_components=n_components,
            scale_power=scale_power,
            features=features,
        )
        self.module = self._module_cls(
            self.preprocessor.n_features,
            n_slices=self._count_slices(),
            n_hidden=n_hidden,
            n_latent=n_latent,
            n_layers=n_layers,
            latent_activation=latent_activation,
            residual=features == "components" and latent_activation == "linear" if residual is None else residual,
            batch_norm_momentum=batch_norm_momentum,
            edge_drop_rate=edge_drop_rate,
            feature_drop_rate=feature_drop_rate,
            telescope_weight=telescope_weight,
            reconstruction_weight=reconstruction_weight,
            scaling_weight=scaling_weight,
            prototype_weight=prototype_weight,
            n_similar=n_similar,
            n_anchors=n_anchors,
            n_prototypes=n_prototypes,
            temperature=temperature,
            prototype_refresh=prototype_refresh,
            seed=self.seed,
        )
        self._model_summary_string = (
            f"SPOTSCAPE with {self.preprocessor.n_features} {features}, n_hidden {n_hidden}, n_latent {n_latent}, "
            f"{n_layers} graph convolutions, {self.module.n_slices} slice(s)"
        )
        self._remember(locals())

    def train(
        self,
        max_epochs: int | None = None,
        *,
        lr: float = 5e-4,
        weight_decay: float = 1e-4,
        schedule: Literal["one-cycle", "constant"] = "one-cycle",
        prototype_warmup: int | None = None,
        batch_size: int | None = None,
        patch_size: int | None = 128,
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
        """Train the model.

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
        prototype_warmup
            Number of epochs before the prototypical contrastive loss is switched on. ``None``: half of them.
        batch_size
            Number of spots whose losses one step computes. ``None``: all of them up to 10,000, 8,192 of more,
            see :func:`~spotscape.train.default_batch_size`.
        patch_size
            Number of spots of the compact patches, from all over all slices, that a smaller batch is made of. Spots of
            a patch share their neighbours; pairs inside it are weighted so that the losses are those of the whole
            tissue in expectation. Smaller where a batch would have fewer than 64 patches. ``None``: spots are drawn one
            by one, which costs several times as much.
        train_size, validation_size
            Shares of the spots that train and validate; all train by default. Random spots are no independent check,
            since their neighbours train: to hold out slices, give ``datasplitter_kwargs={"external_indexing": [...]}``.
        early_stopping
            Whether to stop when the smoothed training loss no longer falls, at the earliest after the warm-up.
        early_stopping_patience
            Number of epochs that are waited for.
        early_stopping_min_change
            Smallest relative fall that counts.
        accelerator, devices
            As :meth:`scvi.model.base.UnsupervisedTrainingMixin.train`.
        plan_kwargs
            Further arguments of :class:`~spotscape.train.ScheduledTrainingPlan`.
        datasplitter_kwargs
            Further arguments of :class:`~spotscape.data.GraphDataSplitter`.
        **trainer_kwargs
            As :class:`scvi.train.Trainer`.
        """
        max_epochs, batch_size = self._start_training(max_epochs, batch_size, trainer_kwargs)
        warmup = max_epochs // 2 if prototype_warmup is None else prototype_warmup
        check_integer(warmup, "prototype_warmup", minimum=0)
        self.module.n_slices = self._count_slices()
        if self.module.uses_prototypes and warmup >= max_epochs:
            warnings.warn(
                f"The prototypes come in at epoch {warmup}, but there are {max_epochs}: they take no part.",
                UserWarning,
                stacklevel=2,
            )
        self._run_training(
            max_epochs=max_epochs,
            batch_size=batch_size,
            patch_size=patch_size,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            early_stopping=early_stopping,
            early_stopping_patience=early_stopping_patience,
            early_stopping_min_change=early_stopping_min_change,
            first_comparable_epoch=warmup if self.module.uses_prototypes else 0,
            own_callbacks=[PrototypeWarmup(warmup)] if self.module.uses_prototypes else [],
            train_size=train_size,
            validation_size=validation_size,
            accelerator=accelerator,
            devices=devices,
            plan_kwargs=plan_kwargs,
            datasplitter_kwargs=datasplitter_kwargs,
            **trainer_kwargs,
        )


def _check_model_arguments(arguments: dict[str, Any]) -> None:
    for name in ("n_hidden", "n_latent", "n_layers", "n_top_genes", "n_similar", "prototype_refresh"):
        check_integer(arguments[name], name, minimum=1)
    for name in ("n_components", "n_anchors"):
        if arguments[name] is not None:
            check_integer(arguments[name], name, minimum=1)
    for name in ("telescope_weight", "reconstruction_weight", "scaling_weight", "prototype_weight"):
        check_number(arguments[name], name, minimum=0)
    for name in ("edge_drop_rate", "feature_drop_rate"):
        check_number(arguments[name], name, minimum=0, maximum=0.99)
    check_number(arguments["batch_norm_momentum"], "batch_norm_momentum", minimum=0, maximum=1)
    check_number(arguments["temperature"], "temperature", minimum=1e-6)
    check_choice(arguments["features"], ("components", "genes"), "features")
    check_choice(arguments["latent_activation"], ("linear", "relu"), "latent_activation")
    for name, needed in (("features", "components"), ("latent_activation", "linear")):
        if arguments["residual"] and arguments[name] != needed:
            raise ValueError(
                f"`residual` is True, but `{name}` is {arguments[name]!r}; pass {needed!r}, or leave `residual` out."
            )
    if arguments["seed"] is not None:
        check_integer(arguments["seed"], "seed", minimum=0)
    if isinstance(arguments["n_prototypes"], int) or not len(arguments["n_prototypes"]):
        raise ValueError(
            f"`n_prototypes` is {arguments['n_prototypes']!r}; give a number for each granularity, such as "
            "(10, 15, 20)."
        )
    for n_prototypes in arguments["n_prototypes"]:
        check_integer(n_prototypes, "n_prototypes", minimum=2)
