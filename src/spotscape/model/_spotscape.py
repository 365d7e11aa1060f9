"""The model that users call; the method is in :mod:`spotscape.module` and :mod:`spotscape.nn`."""

import warnings
from collections.abc import Sequence
from typing import Any, Literal

from anndata import AnnData
from mudata import MuData

from spotscape._validate import Rule, check_arguments, check_flag, check_integer, choice, integer, number, optional
from spotscape.model._docs import docs
from spotscape.model._spatial import SpatialModel
from spotscape.model._training import TrainingRun
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
        check_arguments(locals(), _RULES)
        _check_combinations(locals())
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
        if residual is None:
            residual = features == "components" and latent_activation == "linear"
        n_slices = self._count_slices()
        self.module = self._make_module(self.preprocessor.n_features, arguments=locals())
        self._model_summary_string = (
            f"SPOTSCAPE with {self.preprocessor.n_features} {features}, n_hidden {n_hidden}, n_latent {n_latent}, "
            f"{n_layers} graph convolutions, {n_slices} slice(s)"
        )
        self._remember(locals(), self.pipeline.get_state())

    @docs.dedent
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
        %(max_epochs)s
        lr
            Largest learning rate.
        weight_decay
            Weight decay.
        %(schedule)s
        prototype_warmup
            Number of epochs before the prototypical contrastive loss is switched on. ``None``: half of them.
        %(patches)s
        %(training)s
        """
        run = TrainingRun(self, locals())
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


_RULES: dict[str, Rule] = {
    "n_hidden n_latent n_layers n_top_genes n_similar prototype_refresh": integer(1),
    "n_components n_anchors": optional(integer(1)),
    "telescope_weight reconstruction_weight scaling_weight prototype_weight": number(0),
    "edge_drop_rate feature_drop_rate": number(0, 0.99),
    "batch_norm_momentum": number(0, 1),
    "temperature": number(1e-6),
    "features": choice(("components", "genes")),
    "latent_activation": choice(("linear", "relu")),
    "residual": optional(check_flag),
    "seed": optional(integer(0)),
}


def _check_combinations(arguments: dict[str, Any]) -> None:
    for name, needed in (("features", "components"), ("latent_activation", "linear")):
        if arguments["residual"] and arguments[name] != needed:
            raise ValueError(
                f"`residual` is True, but `{name}` is {arguments[name]!r}; pass {needed!r}, or leave `residual` out."
            )
    if isinstance(arguments["n_prototypes"], int) or not len(arguments["n_prototypes"]):
        raise ValueError(
            f"`n_prototypes` is {arguments['n_prototypes']!r}; give a number for each granularity, such as "
            "(10, 15, 20)."
        )
    for n_prototypes in arguments["n_prototypes"]:
        check_integer(n_prototypes, "n_prototypes", minimum=2)
