"""The SPOTSCAPE model. Its equations are in :mod:`spotscape.module` and :mod:`spotscape.nn`."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from anndata import AnnData
from mudata import MuData

from spotscape._arguments import MODEL_RULES
from spotscape._validate import (
    Rule,
    check_arguments,
    check_flag,
    check_integer,
    choice,
    integer,
    number,
    optional,
    share_above_zero,
    shown,
)
from spotscape.model._docs import documented
from spotscape.model._presets import (
    EMBEDDING,
    FEATURE_NAMES,
    PUBLISHED_LR_OF_SEVERAL_SLICES,
    SPOTSCAPE_PRESETS,
    resolve,
)
from spotscape.model._spatial import SpatialModel
from spotscape.model._training import TrainingRun
from spotscape.module import SpotscapeModule
from spotscape.train import PrototypeWarmup


class SPOTSCAPE(SpatialModel):
    """Siamese graph encoder for spatial domains, denoising and integration :cite:p:`Oh2025`.

    A graph encoder encodes two augmented views of the tissue and is trained to give each pair of spots the same
    similarity in both. The representation of a spot therefore reflects both its neighbourhood and the whole tissue.
    With several slices, two further losses remove batch effects: one brings the similarities between slices to the same
    scale, and one attracts spots to prototypes that all slices share. No labels are used. The equations of the losses
    are those of :class:`~spotscape.module.SpotscapeModule`; see also :doc:`/user_guide/spotscape`.

    Parameters
    ----------
    adata
        AnnData or MuData that :meth:`setup_anndata` or :meth:`setup_mudata` was called on.
    preset
        Source of the values of arguments that are ``None``, here and in :meth:`train`. ``None``: the settings with the
        best results in our benchmarks. ``"paper"``: the encoder, the inputs and the training of the paper.
        ``"released"``: the same as in the released code, which differs in batch normalisation and in the weight of
        similarity scaling. The data must be set up with the same preset, which sets the graph. See
        :doc:`/user_guide/spotscape` for the values and for what neither sets.
    n_hidden
        Number of hidden units of encoder and decoder.
    n_latent
        Number of dimensions of the latent representation.
    n_layers
        Number of graph convolutions. A spot receives information from neighbours at most this many hops away.
    encoder
        ``"gcn"``: graph convolutions, which weight the neighbours by the graph alone. ``"gat"``: graph attention, which
        learns how much each spot takes from each neighbour, see :class:`~spotscape.nn.GraphAttention`. It is slower and
        was no better in our benchmarks.
    features
        Input of the encoder and target of the decoder. ``"components"``: principal components of scaled log-normalised
        expression, which are faster and less noisy. ``"genes"``: log-normalised expression of the selected genes, as
        published. ``"embedding"``: the features that ``features_key`` of the setup names, see :meth:`setup_anndata`.
        ``None``: ``"embedding"`` if the setup has that key; otherwise ``"components"``, or ``"genes"`` in the presets.
    n_top_genes
        Number of highly variable genes to select. ``None``: 3,000, or 5,000 in the presets.
    n_components
        Number of principal components. ``None``: chosen from the number of spots per slice by
        :func:`~spotscape.preprocessing.default_n_components`; of an embedding, 50, or all columns if it has fewer.
    scale_power
        Each component is divided by its standard deviation to this power, from 0 to 1. ``None``: chosen from the number
        of spots per slice by :func:`~spotscape.preprocessing.default_scale_power`.
    target_sum
        Total of a spot that counts are normalised to before the logarithm. ``None``: the median total, or 10,000 in the
        presets if the data are counts.
    slice_correction
        How differences between slices are removed from the components before encoding: ``"none"`` (as published),
        ``"centre"``, ``"combat"`` or ``"harmony"`` :cite:p:`Korsunsky2019`. Averaging over neighbours reduces noise but
        not differences between slices, so they should be removed first. ``None``: ``"harmony"`` if there are several
        slices and features are not genes, and ``"none"`` otherwise and in the presets.
    latent_activation
        Activation of the latent representation: ``"linear"``, or ``"relu"`` as published. ``None``: ``"linear"``, or
        ``"relu"`` in the presets.
    residual
        Whether the output of the encoder is added to components that are smoothed over the graph. Training then starts
        from a good representation with any seed. ``None``: True if features are not genes and ``latent_activation`` is
        ``"linear"``. Other settings do not support it.
    batch_norm_momentum
        Weight of the newest batch in the running statistics of batch normalisation, as in PyTorch. ``None``: 0.1, or
        0.99 in the preset ``"released"``.
    edge_drop_rate, feature_drop_rate
        Probability that an augmented view loses an edge, or a feature in all spots.
    telescope_weight, reconstruction_weight, scaling_weight, prototype_weight
        Weights of the similarity telescope loss, the reconstruction loss, the similarity scaling loss and the
        prototypical contrastive loss. 0 switches a loss off. The last two are used only if there are several slices, as
        published. ``scaling_weight`` is 1 if it is ``None``; in the preset ``"released"`` it is twice the number of
        other slices, because the released code adds up over pairs of slices.
    n_similar
        Number of most similar spots that the similarity scaling loss compares.
    n_anchors
        Number of spots, drawn at random in each step, over which the similarity scaling loss is averaged, so that its
        cost is linear in the number of spots. ``None``: 512, or ``"all"`` in the presets.
    n_prototypes
        Number of prototypes of each granularity. The default does not depend on annotation. The published code uses 1,
        1.5 and 2 times the number of annotated domains. A number above that of the spots in a batch is reduced to it.
    temperature
        Temperature of the prototypical contrastive loss.
    prototype_refresh
        Number of steps between two updates of the prototypes by k-means. ``None``: 5, or 1 in the presets.
    seed
        Random seed of the weights, the augmentation and the batches. ``None``: the seed of ``scvi.settings``, or 0.
    extra_payload_autotune
        Set by :func:`scvi.autotune.run_autotune` for scib metrics. The data must be set up with ``labels_key``.
    registry, preprocessing
        Set when a model is loaded.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or two arguments exclude each other.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=40)
    >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    >>> model = sps.SPOTSCAPE(adata)
    >>> model.train(max_epochs=2)
    >>> adata.obsm["X_spotscape"] = model.get_latent_representation()
    >>> adata.obsm["X_spotscape"].shape
    (120, 64)
    """

    _module_cls = SpotscapeModule
    _presets = SPOTSCAPE_PRESETS
    # The released radius of 150 pixels holds the six neighbours of a Visium spot, and so does this one in any unit.
    _published_graph: ClassVar[dict[str, Any]] = {"graph": "radius", "radius": 1.5}

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict | None = None,
        *,
        preset: Literal["paper", "released"] | None = None,
        n_hidden: int = 256,
        n_latent: int = 64,
        n_layers: int = 2,
        encoder: Literal["gcn", "gat"] = "gcn",
        features: Literal["components", "genes", "embedding"] | None = None,
        n_top_genes: int | None = None,
        n_components: int | None = None,
        scale_power: float | None = None,
        target_sum: float | None = None,
        slice_correction: Literal["none", "centre", "combat", "harmony"] | None = None,
        latent_activation: Literal["linear", "relu"] | None = None,
        residual: bool | None = None,
        batch_norm_momentum: float | None = None,
        edge_drop_rate: float = 0.2,
        feature_drop_rate: float = 0.2,
        telescope_weight: float = 1.0,
        reconstruction_weight: float = 0.1,
        scaling_weight: float | None = None,
        prototype_weight: float = 0.01,
        n_similar: int = 5,
        n_anchors: int | Literal["all"] | None = None,
        n_prototypes: Sequence[int] = (10, 15, 20),
        temperature: float = 0.75,
        prototype_refresh: int | None = None,
        seed: int | None = None,
        extra_payload_autotune: bool = False,
        preprocessing: dict[str, Any] | None = None,
    ):
        settings = self._resolve_preset(preset, adata, locals())
        check_arguments(locals() | settings, _RULES)
        _check_combinations(locals() | settings)
        n_prototypes = list(n_prototypes)
        features = settings["features"]
        if residual is None:
            residual = features != "genes" and settings["latent_activation"] == "linear"
        super().__init__(
            adata,
            registry,
            preprocessing=preprocessing,
            seed=seed,
            slice_correction=settings["slice_correction"],
            n_top_genes=settings["n_top_genes"],
            n_components=n_components,
            scale_power=scale_power,
            target_sum=settings["target_sum"],
            features=features,
        )
        n_slices = self._count_slices()
        if preset == "released" and scaling_weight is None:
            scaling_weight = settings["scaling_weight"] = 2.0 * (n_slices - 1)
        module_settings = settings | {"n_anchors": None if settings["n_anchors"] == "all" else settings["n_anchors"]}
        self.module = self._make_module(self.pipeline.n_features, arguments=locals() | module_settings)
        self._model_summary_string = (
            f"SPOTSCAPE with {self.pipeline.n_features} {FEATURE_NAMES[features]}, n_hidden {n_hidden}, "
            f"n_latent {n_latent}, "
            f"{n_layers} graph {'attentions' if encoder == 'gat' else 'convolutions'}, {n_slices} slice(s)"
            + (f", preset {preset}" if preset else "")
        )
        self.extra_payload_autotune = extra_payload_autotune
        self._remember(locals(), self.pipeline.get_state())

    @documented
    def train(
        self,
        max_epochs: int | None = None,
        *,
        lr: float | None = None,
        weight_decay: float = 1e-4,
        schedule: Literal["one-cycle", "constant"] | None = None,
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
        checkpoint_dir: str | Path | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train the model.

        Parameters
        ----------
        max_epochs
            Number of passes through the spots. ``None``: as many as give the number of steps of
            :func:`~spotscape.train.default_n_steps`, or 1,000 in the presets, and at least 20. On large data each of
            these epochs then covers a random subset of the spots.
        lr
            Maximum learning rate. ``None``: 0.0005; in the presets 0.0001 for one slice and 0.0005 for several, as
            published for cortex.
        weight_decay
            Weight decay of the optimiser.
        schedule
            Learning rate schedule, see :class:`~spotscape.train.ScheduledTrainingPlan`. ``None``: ``"one-cycle"``, or
            ``"constant"`` in the presets.
        prototype_warmup
            Number of epochs before the prototypical contrastive loss is switched on, because prototypes are informative
            only once domains are separated. ``None``: half of the epochs.
        %(patches)s
        %(training)s

        %(training_errors)s

        Warns
        -----
        UserWarning
            If training ends before the prototypes are switched on.

        Examples
        --------
        >>> import spotscape as sps
        >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
        >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
        >>> model = sps.SPOTSCAPE(adata)
        >>> model.train(max_epochs=3)
        >>> len(model.history["train_loss"])
        3
        """
        settings = resolve(SPOTSCAPE_PRESETS, self.preset, locals())
        if lr is None and self.preset is not None and self._count_slices() > 1:
            settings["lr"] = PUBLISHED_LR_OF_SEVERAL_SLICES
        run = TrainingRun(self, locals() | settings, SPOTSCAPE_PRESETS[self.preset]["n_steps"])
        warmup = run.max_epochs // 2 if prototype_warmup is None else prototype_warmup
        check_integer(warmup, "prototype_warmup", minimum=0)
        self.module.n_slices = self._count_slices()
        if not self.module.uses_prototypes:
            run.start(self._dataset(self.adata_manager))
            return
        if warmup >= run.max_epochs:
            warnings.warn(
                f"The prototypes are switched on at epoch {warmup}, but there are only {run.max_epochs} epochs: they "
                "are not used.",
                UserWarning,
                stacklevel=2,
            )
        run.start(self._dataset(self.adata_manager), PrototypeWarmup(warmup), warmup)


def _check_n_anchors(value: Any, name: str) -> None:
    if value != "all":
        check_integer(value, name, minimum=1)


_RULES: dict[str, Rule] = MODEL_RULES | {
    "n_hidden n_latent n_layers n_top_genes n_similar prototype_refresh": integer(1),
    "n_components": optional(integer(1)),
    "n_anchors": _check_n_anchors,
    "encoder": choice(("gcn", "gat")),
    "telescope_weight reconstruction_weight scaling_weight prototype_weight": number(0),
    "edge_drop_rate feature_drop_rate": number(0, 0.99),
    "batch_norm_momentum": share_above_zero,
    "temperature": number(1e-6),
    "features": choice(("components", "genes", EMBEDDING)),
    "latent_activation": choice(("linear", "relu")),
    "residual": optional(check_flag),
}


def _check_combinations(arguments: dict[str, Any]) -> None:
    for name, needed, refused in (("features", "components", "genes"), ("latent_activation", "linear", "relu")):
        if arguments["residual"] and arguments[name] == refused:
            raise ValueError(
                f"`residual` is True, but `{name}` is {arguments[name]!r}; pass {needed!r}, or leave `residual` out."
            )
    given = arguments["n_components"]
    if given is not None and arguments["features"] == "genes" and arguments["preprocessing"] is None:
        raise ValueError(
            f"`n_components` is {given}, but `features` is 'genes', which have no components; leave out one of them."
        )
    weights = [name for name in arguments if name.endswith("_weight")]
    if not any(arguments[name] for name in weights):
        raise ValueError(f"`{'`, `'.join(weights)}` are all 0, so nothing would be learnt; set one of them above 0.")
    given = arguments["n_prototypes"]
    if isinstance(given, str) or not isinstance(given, Iterable) or not len(list(given)):
        raise ValueError(f"`n_prototypes` is {shown(given)}; pass a number for each granularity, such as (10, 15, 20).")
    for n_prototypes in arguments["n_prototypes"]:
        check_integer(n_prototypes, "n_prototypes", minimum=2)
