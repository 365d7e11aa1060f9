"""The SPOTSCAPE model. Its equations are in :mod:`spotscape.module` and :mod:`spotscape.nn`."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from anndata import AnnData
from mudata import MuData

from spotscape._validate import (
    Rule,
    check_arguments,
    check_flag,
    check_integer,
    check_mapping,
    check_seed,
    choice,
    integer,
    number,
    optional,
    share_above_zero,
    shown,
)
from spotscape.model._docs import docs
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
    n_hidden
        Number of hidden units of encoder and decoder.
    n_latent
        Number of dimensions of the latent representation.
    n_layers
        Number of graph convolutions. A spot receives information from neighbours at most this many hops away.
    features
        Input of the encoder and target of the decoder. ``"components"``: principal components of scaled log-normalised
        expression, which are faster and less noisy. ``"genes"``: log-normalised expression of the selected genes, as
        published.
    n_top_genes
        Number of highly variable genes to select.
    n_components
        Number of principal components. ``None``: chosen from the number of spots per slice by
        :func:`~spotscape.preprocessing.default_n_components`.
    scale_power
        Each component is divided by its standard deviation to this power, from 0 to 1. ``None``: chosen from the number
        of spots per slice by :func:`~spotscape.preprocessing.default_scale_power`.
    slice_correction
        How differences between slices are removed from the components before encoding: ``"none"`` (as published),
        ``"centre"``, ``"combat"`` or ``"harmony"`` :cite:p:`Korsunsky2019`. Averaging over neighbours reduces noise but
        not differences between slices, so they should be removed first. ``None``: ``"harmony"`` if there are several
        slices and features are components, and ``"none"`` otherwise.
    latent_activation
        Activation of the latent representation: ``"linear"``, or ``"relu"`` as published.
    residual
        Whether the output of the encoder is added to components that are smoothed over the graph. Training then starts
        from a good representation with any seed. ``None``: True if features are components and ``latent_activation`` is
        ``"linear"``. Other settings do not support it.
    batch_norm_momentum
        Weight of the newest batch in the running statistics of batch normalisation, as in PyTorch. The published code
        uses 0.99.
    edge_drop_rate, feature_drop_rate
        Probability that an augmented view loses an edge, or a feature in all spots.
    telescope_weight, reconstruction_weight, scaling_weight, prototype_weight
        Weights of the similarity telescope loss, the reconstruction loss, the similarity scaling loss and the
        prototypical contrastive loss. 0 switches a loss off. The last two are used only if there are several slices, as
        published.
    n_similar
        Number of most similar spots that the similarity scaling loss compares.
    n_anchors
        Number of spots, drawn at random in each step, over which the similarity scaling loss is averaged, so that its
        cost is linear in the number of spots. ``None``: all spots.
    n_prototypes
        Number of prototypes of each granularity. The default does not depend on annotation. The published code uses 1,
        1.5 and 2 times the number of annotated domains. A number above that of the spots in a batch is reduced to it.
    temperature
        Temperature of the prototypical contrastive loss.
    prototype_refresh
        Number of steps between two updates of the prototypes by k-means.
    seed
        Random seed of the weights, the augmentation and the batches. ``None``: the seed of ``scvi.settings``, or 0.
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
        checkpoint_dir: str | Path | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train the model.

        Parameters
        ----------
        %(max_epochs)s
        %(optimiser)s
        %(schedule)s
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
    "batch_norm_momentum": share_above_zero,
    "temperature": number(1e-6),
    "features": choice(("components", "genes")),
    "latent_activation": choice(("linear", "relu")),
    "residual": optional(check_flag),
    "seed": optional(check_seed),
    "preprocessing": optional(check_mapping),
}


def _check_combinations(arguments: dict[str, Any]) -> None:
    for name, needed in (("features", "components"), ("latent_activation", "linear")):
        if arguments["residual"] and arguments[name] != needed:
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
