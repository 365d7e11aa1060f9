"""SEDR as users call it; the method is in :mod:`spotscape.module` and :mod:`spotscape.nn`."""

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from mudata import MuData

from spotscape._constants import MODULE_KEYS
from spotscape._validate import (
    Rule,
    check_arguments,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    choice,
    integer,
    number,
    optional,
)
from spotscape.model._docs import docs
from spotscape.model._sedr_presets import PRESETS, PUBLISHED_N_COMPONENTS, resolve
from spotscape.model._spatial import SpatialModel
from spotscape.model._training import TrainingRun
from spotscape.module import SEDRModule
from spotscape.train import ClusterPhase


class SEDR(SpatialModel):
    """Masked autoencoder and variational graph autoencoder for domains, imputation and denoising :cite:p:`Xu2024`.

    The expression of most spots is hidden, and the model learns to predict it from the spots around them; so the
    representation of a spot holds what its neighbourhood says of it, and the decoder imputes. No label is used.

    Parameters
    ----------
    adata
        AnnData or MuData that :meth:`setup_anndata` or :meth:`setup_mudata` was called on.
    registry
        Filled in by scvi-tools when a model is loaded without data.
    preset
        Where the arguments that are ``None``, here and in :meth:`train`, come from. ``None``: those that measured
        best. ``"paper"``: true masking and the original expression as its target, with the squared error, and the
        released code's widths, rates and number of steps. ``"reference"``: what the released code does: the token is
        added, so that nothing is hidden, and is part of the target; spots are masked at inference, too (here always the
        same ones, by their row number, so that the representation follows the order of the spots); the pairs without
        an edge are drawn once.
    n_clusters
        Number of clusters of deep embedded clustering, see :meth:`get_soft_clusters`. ``None``: it is left out.
    n_hidden
        Width of the hidden layers.
    n_latent
        Width of each of the two parts of the representation, of the spot's own expression and of its neighbourhood.
    decoder
        ``"graph"``, a graph convolution, for domains; or ``"linear"``, spot by spot, which the paper takes to impute.
    representation
        What :meth:`get_latent_representation` returns: ``"encoder"``, what the two encoders give, as published; or
        ``"decoder"``, what the decoder reads of it, which is its average over the neighbours for the graph decoder and
        the same for the linear one.
    features
        What the encoder reads and the decoder reconstructs: ``"components"``, the principal components of scaled
        log-normalised expression, or ``"genes"``, the log-normalised selected genes.
    n_top_genes
        Number of highly variable genes that are selected; 3,000, and 2,000 in the presets.
    n_components
        Number of principal components. By the size of the slices, see
        :func:`~spotscape.preprocessing.default_n_components`; 200 in the presets, or as many as there are.
    scale_power
        Power of its standard deviation that each component is divided by. By the size of the slices, see
        :func:`~spotscape.preprocessing.default_scale_power`; 0 in the presets.
    slice_correction
        How differences between slices are removed from the components, see :class:`~spotscape.SPOTSCAPE`. ``None``:
        by Harmony where there are several slices and features are components, and not at all in the presets.
    masking
        ``"replace"`` or ``"add"``: what the learnable token does to the expression of masked spots. ``"add"`` needs
        ``features="components"``.
    mask_rate
        Probability that a spot is masked in a step.
    mask_at_inference
        Whether spots are masked when the representation is asked for, too.
    masked_loss
        Error of the masked spots: ``"cosine"``, to the power ``gamma``, or ``"squared"``.
    gamma
        Power of the cosine error.
    dropout_rate
        Probability that a value is dropped in training.
    batch_norm_momentum
        Weight of the newest batch in the running statistics of batch normalisation, in PyTorch's sense.
    reconstruction_weight, masked_weight, adjacency_weight, kl_weight, cluster_weight
        Weights of the reconstruction of all spots, of the error of the masked ones, of the likelihood of the graph, of
        the divergence of the graph encoder's distributions from the standard one, and of the clusters; 0 switches one
        off. The divergence is the mean over spots; in the reference preset its weight is divided by their number.
    redraw_pairs
        Whether the pairs of spots without an edge are drawn anew in each step.
    seed
        Seed of weights, masks and draws. ``None``: that of ``scvi.settings``, or 0.
    preprocessing
        Filled in when a model is loaded.

    Examples
    --------
    >>> adata = spotscape.datasets.synthetic_tissue()
    >>> spotscape.SEDR.setup_anndata(adata, layer="counts", slice_key="slice")
    >>> model = spotscape.SEDR(adata)
    >>> model.train()
    >>> adata.obsm["X_sedr"] = model.get_latent_representation()

    Notes
    -----
    See further the user guide, :doc:`/user_guide/sedr`.
    """

    _module_cls = SEDRModule

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict | None = None,
        *,
        preset: Literal["paper", "reference"] | None = None,
        n_clusters: int | None = None,
        n_hidden: int = 64,
        n_latent: int = 16,
        decoder: Literal["graph", "linear"] = "graph",
        representation: Literal["encoder", "decoder"] | None = None,
        features: Literal["components", "genes"] = "components",
        n_top_genes: int | None = None,
        n_components: int | None = None,
        scale_power: float | None = None,
        slice_correction: Literal["none", "centre", "combat", "harmony"] | None = None,
        masking: Literal["replace", "add"] | None = None,
        mask_rate: float = 0.8,
        mask_at_inference: bool | None = None,
        masked_loss: Literal["cosine", "squared"] | None = None,
        gamma: float = 3.0,
        dropout_rate: float | None = None,
        batch_norm_momentum: float | None = None,
        reconstruction_weight: float = 10.0,
        masked_weight: float = 1.0,
        adjacency_weight: float | None = None,
        kl_weight: float | None = None,
        cluster_weight: float = 1.0,
        redraw_pairs: bool | None = None,
        seed: int | None = None,
        preprocessing: dict[str, Any] | None = None,
    ):
        check_choice(preset, tuple(PRESETS), "preset")
        settings = resolve(preset, locals())
        check_arguments(locals() | settings, _RULES)
        if settings["masking"] == "add" and features == "genes":
            raise ValueError(
                "`masking` is 'add', which needs `features='components'`, but they are 'genes'; pass "
                "`masking='replace'`."
            )
        genes = {name: settings[name] for name in ("n_top_genes", "n_components", "scale_power")}
        if features == "genes":
            genes["scale_power"] = scale_power
        if n_components is None and genes["n_components"] is not None and adata is not None and preprocessing is None:
            stats = self._get_most_recent_anndata_manager(adata, required=True).summary_stats
            most = min(genes["n_top_genes"], stats["n_cells"], stats["n_vars"]) - 1
            genes["n_components"] = min(PUBLISHED_N_COMPONENTS, most)
        if slice_correction is None and preset is not None:
            slice_correction = "none"
        super().__init__(
            adata,
            registry,
            preprocessing=preprocessing,
            seed=seed,
            slice_correction=slice_correction,
            features=features,
            **genes,
        )
        if preset == "reference" and kl_weight is None:
            kl_weight = settings["kl_weight"] = settings["kl_weight"] / self.summary_stats["n_cells"]
        self.preset = preset
        self.module = self._make_module(self.preprocessor.n_features, arguments=locals() | settings)
        self._model_summary_string = (
            f"SEDR with {self.preprocessor.n_features} {features}, n_hidden {n_hidden}, n_latent 2 x {n_latent}, "
            f"{decoder} decoder, {self._count_slices()} slice(s)" + (f", preset {preset}" if preset else "")
        )
        self._remember(locals(), self.pipeline.get_state())

    @docs.dedent
    def train(
        self,
        max_epochs: int | None = None,
        *,
        lr: float | None = None,
        weight_decay: float | None = None,
        schedule: Literal["one-cycle", "constant"] | None = None,
        cluster_start: int | None = None,
        cluster_interval: int = 20,
        cluster_tolerance: float = 0.0,
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
        %(max_epochs)s As many as make 300 steps (200 in the presets).
        lr
            Largest learning rate; 0.01.
        weight_decay
            Weight decay; 0.0001, and 0.01 in the presets.
        schedule
            How the learning rate changes during training; see :class:`~spotscape.train.ScheduledTrainingPlan`.
            ``"one-cycle"``, and ``"constant"`` in the presets.
        cluster_start
            Epoch at which deep embedded clustering begins, where the model has ``n_clusters``. ``None``: half of them.
            The other losses stay on; the released code drops that of the masked spots.
        cluster_interval
            Number of epochs for which the targets of the clusters are kept.
        cluster_tolerance
            Training stops when less than this share of the spots have changed their cluster between two targets; never
            for 0.
        %(patches)s Edges are those inside a batch, weighted like its other pairs by how often they are drawn.
        %(training)s
        """
        run = TrainingRun(self, locals() | resolve(self.preset, locals()), PRESETS[self.preset]["n_steps"])
        start = run.max_epochs // 2 if cluster_start is None else cluster_start
        check_integer(start, "cluster_start", minimum=0)
        check_integer(cluster_interval, "cluster_interval", minimum=1)
        check_number(cluster_tolerance, "cluster_tolerance", minimum=0, maximum=1)
        if self.module.n_clusters is None:
            run.start(self._dataset(self.adata_manager))
            return
        check_integer(self.module.n_clusters, "n_clusters", maximum=self.adata.n_obs)
        if start >= run.max_epochs:
            warnings.warn(
                f"Clustering starts at epoch {start}, but there are only {run.max_epochs} epochs: it is not used.",
                UserWarning,
                stacklevel=2,
            )
        phase = ClusterPhase(start_epoch=start, interval=cluster_interval, tolerance=cluster_tolerance)
        run.start(self._dataset(self.adata_manager), phase, start)

    @docs.dedent
    @torch.inference_mode()
    def get_soft_clusters(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> pd.DataFrame:
        """Probability of each cluster of deep embedded clustering :cite:p:`Xie2016`.

        Parameters
        ----------
        %(spots)s

        Returns
        -------
        Data frame with a row for each spot and a column ``"1"`` ... for each cluster; rows sum to 1.

        Raises
        ------
        RuntimeError
            If the model has not been trained, or no cluster took part in the training.
        """
        self._check_if_trained(warn=False)
        if not self.module.has_clusters:
            raise RuntimeError("The model was trained without clusters; make it with `n_clusters` and train it.")
        manager, rows = self._requested(adata, indices, batch_size)
        encoded = self._encode(self._dataset(manager), rows, batch_size, MODULE_KEYS.ENCODED)
        shares = self.module.assign(torch.from_numpy(encoded)).cpu().numpy()
        names = [str(number) for number in range(1, shares.shape[1] + 1)]
        return pd.DataFrame(shares, index=manager.adata.obs_names[rows], columns=names)


_RULES: dict[str, Rule] = {
    "n_hidden n_latent n_top_genes": integer(1),
    "n_components": optional(integer(1)),
    "n_clusters": optional(integer(2)),
    "reconstruction_weight masked_weight adjacency_weight kl_weight cluster_weight": number(0),
    "mask_rate": number(0.01, 0.99),
    "dropout_rate": number(0, 0.99),
    "batch_norm_momentum": number(0, 1),
    "gamma": number(1),
    "decoder": choice(("graph", "linear")),
    "representation": choice(("encoder", "decoder")),
    "features": choice(("components", "genes")),
    "masking": choice(("replace", "add")),
    "masked_loss": choice(("cosine", "squared")),
    "mask_at_inference redraw_pairs": check_flag,
    "seed": optional(integer(0)),
}
