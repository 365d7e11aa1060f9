"""The SEDR model. Its equations are in :mod:`spotscape.module` and :mod:`spotscape.nn`."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from mudata import MuData

from spotscape._arguments import MODEL_RULES
from spotscape._constants import MODULE_KEYS
from spotscape._validate import (
    Rule,
    check_arguments,
    check_flag,
    check_integer,
    check_number,
    choice,
    integer,
    number,
    optional,
    share_above_zero,
)
from spotscape.model._docs import documented
from spotscape.model._presets import EMBEDDING, FEATURE_NAMES, SEDR_PRESETS, published_n_components, resolve
from spotscape.model._spatial import SpatialModel
from spotscape.model._training import TrainingRun
from spotscape.module import SEDRModule
from spotscape.train import ClusterPhase


class SEDR(SpatialModel):
    """Masked autoencoder and variational graph autoencoder for domains, imputation and denoising :cite:p:`Xu2024`.

    The expression of most spots is masked in training, and the model predicts it from the neighbouring spots. The
    representation of a spot therefore reflects its neighbourhood, and the decoder can impute expression. No labels are
    used. The equations of the losses are those of :class:`~spotscape.module.SEDRModule`; see also
    :doc:`/user_guide/sedr`.

    Parameters
    ----------
    adata
        AnnData or MuData that :meth:`setup_anndata` or :meth:`setup_mudata` was called on.
    preset
        Source of the values of arguments that are ``None``, here and in :meth:`train`. ``None``: the settings with the
        best results in our benchmarks. ``"paper"``: masked spots are hidden and their original expression is the
        target, with a squared error and the widths, rates and number of steps of the released code. ``"released"``:
        the behaviour of the released code. There the token is added to the expression, which stays visible, and to the
        target; spots are also masked at inference (here always the same ones, by their row number, so the result
        depends on the order of the spots); and the pairs of spots without an edge are drawn only once. The data must be
        set up with the same preset, which sets the graph.
    n_clusters
        Number of clusters of deep embedded clustering, see :meth:`get_soft_clusters`. ``None``: no clustering.
    n_hidden
        Number of hidden units.
    n_latent
        Number of dimensions of each of the two parts of the latent representation: that of the spot and that of its
        neighbourhood.
    decoder
        ``"graph"``: a graph convolution, for domains. ``"linear"``: a linear map of each spot, used in the paper for
        imputation.
    representation
        Result of :meth:`get_latent_representation`. ``"encoder"``: the output of the two encoders, as published.
        ``"decoder"``: the input of the decoder, which is the average of that output over the neighbours for the graph
        decoder, and the same for the linear decoder.
    features
        Input of the encoder and target of the decoder. ``"components"``: principal components of scaled log-normalised
        expression. ``"genes"``: log-normalised expression of the selected genes. ``"embedding"``: the features that
        ``features_key`` of the setup names. ``None``: ``"embedding"`` if it has that key, otherwise ``"components"``.
    n_top_genes
        Number of highly variable genes to select. ``None``: 3,000, or 2,000 in the presets.
    n_components
        Number of principal components. ``None``: chosen from the number of spots per slice by
        :func:`~spotscape.preprocessing.default_n_components`, or 200 in the presets if there are as many; of an
        embedding, 50 instead, or all columns if it has fewer.
    scale_power
        Each component is divided by its standard deviation to this power, from 0 to 1. ``None``: chosen from the number
        of spots per slice by :func:`~spotscape.preprocessing.default_scale_power`, or 0 in the presets.
    target_sum
        Total of a spot that counts are normalised to before the logarithm. ``None``: the median total.
    slice_correction
        How differences between slices are removed from the components, see :class:`~spotscape.SPOTSCAPE`. ``None``:
        ``"harmony"`` if there are several slices and features are not genes, and ``"none"`` otherwise and in the
        presets.
    masking
        Whether the learnable token replaces the expression of masked spots (``"replace"``) or is added to it
        (``"add"``, which features that are genes do not allow).
    mask_rate
        Probability that a spot is masked in a training step.
    mask_at_inference
        Whether spots are also masked when the latent representation is computed.
    masked_loss
        Error of the masked spots: ``"cosine"``, to the power ``gamma``, or ``"squared"``.
    gamma
        Power of the cosine error, at least 1.
    dropout_rate
        Dropout probability in training.
    batch_norm_momentum
        Weight of the newest batch in the running statistics of batch normalisation, as in PyTorch.
    reconstruction_weight, masked_weight, adjacency_weight, kl_weight, cluster_weight
        Weights of the reconstruction loss of all spots, the error of the masked spots, the adjacency loss, the
        Kullback-Leibler divergence and the clustering loss. 0 switches a loss off. The divergence is a mean over spots;
        the preset ``"released"`` divides its weight by the number of spots.
    redraw_pairs
        Whether new pairs of spots without an edge are drawn in each training step.
    seed
        Random seed of the weights, the masks and the pairs. ``None``: the seed of ``scvi.settings``, or 0.
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
    >>> sps.SEDR.setup_anndata(adata, layer="counts", slice_key="slice")
    >>> model = sps.SEDR(adata)
    >>> model.train(max_epochs=2)
    >>> adata.obsm["X_sedr"] = model.get_latent_representation()
    >>> adata.obsm["X_sedr"].shape
    (120, 32)
    """

    _module_cls = SEDRModule
    _presets = SEDR_PRESETS
    _published_graph: ClassVar[dict[str, Any]] = {"graph": "knn", "n_neighbors": 12}

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict | None = None,
        *,
        preset: Literal["paper", "released"] | None = None,
        n_clusters: int | None = None,
        n_hidden: int = 64,
        n_latent: int = 16,
        decoder: Literal["graph", "linear"] = "graph",
        representation: Literal["encoder", "decoder"] | None = None,
        features: Literal["components", "genes", "embedding"] | None = None,
        n_top_genes: int | None = None,
        n_components: int | None = None,
        scale_power: float | None = None,
        target_sum: float | None = None,
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
        extra_payload_autotune: bool = False,
        preprocessing: dict[str, Any] | None = None,
    ):
        settings = self._resolve_preset(preset, adata, locals())
        check_arguments(locals() | settings, _RULES)
        features = settings["features"]
        if settings["masking"] == "add" and features == "genes":
            raise ValueError(
                "`masking` is 'add', which needs `features='components'`, but they are 'genes'; pass "
                "`masking='replace'`."
            )
        genes = {name: settings[name] for name in ("n_top_genes", "n_components", "scale_power")}
        if features == "genes":
            genes["scale_power"] = scale_power
        if n_components is None and genes["n_components"] is not None and adata is not None and preprocessing is None:
            manager = self._get_most_recent_anndata_manager(adata, required=True)
            genes["n_components"] = published_n_components(manager, genes["n_top_genes"])
        super().__init__(
            adata,
            registry,
            preprocessing=preprocessing,
            seed=seed,
            slice_correction=settings["slice_correction"],
            features=features,
            target_sum=target_sum,
            **genes,
        )
        if preset == "released" and kl_weight is None:
            kl_weight = settings["kl_weight"] = settings["kl_weight"] / self.adata_manager.adata.n_obs
        self.module = self._make_module(self.pipeline.n_features, arguments=locals() | settings)
        self._model_summary_string = (
            f"SEDR with {self.pipeline.n_features} {FEATURE_NAMES[features]}, n_hidden {n_hidden}, "
            f"n_latent 2 x {n_latent}, {decoder} decoder, {self._count_slices()} slice(s)"
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
        checkpoint_dir: str | Path | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train the model.

        Parameters
        ----------
        max_epochs
            Number of passes through the spots. ``None``: as many as give 300 steps, or 200 in the presets, and at least
            20. On large data each of these epochs then covers a random subset of the spots.
        lr
            Maximum learning rate. ``None``: 0.01.
        weight_decay
            Weight decay of the optimiser. ``None``: 0.0001, or 0.01 in the presets.
        schedule
            Learning rate schedule, see :class:`~spotscape.train.ScheduledTrainingPlan`. ``None``: ``"one-cycle"``, or
            ``"constant"`` in the presets.
        cluster_start
            Epoch at which deep embedded clustering starts, if the model has ``n_clusters``. ``None``: after half of the
            epochs. The other losses remain in use; the released code drops that of the masked spots.
        cluster_interval
            Number of epochs between two updates of the cluster targets.
        cluster_tolerance
            Training stops if less than this fraction of the spots changed their cluster between two updates. 0: never.
        %(patches)s
        %(training)s

        %(training_errors)s

        Warns
        -----
        UserWarning
            If training ends before clustering starts.

        Notes
        -----
        With several batches, the adjacency loss uses the edges within a batch, weighted like other pairs by how often
        they are drawn.

        Examples
        --------
        >>> import spotscape as sps
        >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
        >>> sps.SEDR.setup_anndata(adata, layer="counts", preset="paper")
        >>> model = sps.SEDR(adata, preset="paper")
        >>> model.train(max_epochs=3)
        >>> len(model.history["train_loss"])
        3
        """
        settings = resolve(SEDR_PRESETS, self.preset, locals())
        run = TrainingRun(self, locals() | settings, SEDR_PRESETS[self.preset]["n_steps"])
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

    @documented
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
        Data frame with one row per spot and one column per cluster, ``"1"``, ``"2"``, ... Rows sum to 1.

        Raises
        ------
        RuntimeError
            If the model has not been trained, or was trained without clusters.

        Examples
        --------
        >>> import spotscape as sps
        >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
        >>> sps.SEDR.setup_anndata(adata, layer="counts")
        >>> model = sps.SEDR(adata, n_clusters=3)
        >>> model.train(max_epochs=2)
        >>> clusters = model.get_soft_clusters()
        >>> clusters.shape, list(clusters.columns), float(clusters.sum(axis=1).mean().round(3))
        ((60, 3), ['1', '2', '3'], 1.0)
        """
        self._check_if_trained(warn=False)
        if not self.module.has_clusters:
            raise RuntimeError("The model was trained without clusters; make it with `n_clusters` and train it.")
        manager, rows = self._requested(adata, indices, batch_size)
        encoded = self._encode(self._dataset(manager), rows, batch_size, MODULE_KEYS.ENCODED)
        shares = self.module.assign(torch.from_numpy(encoded)).cpu().numpy()
        names = [str(number) for number in range(1, shares.shape[1] + 1)]
        return pd.DataFrame(shares, index=manager.adata.obs_names[rows], columns=names)


_RULES: dict[str, Rule] = MODEL_RULES | {
    "n_hidden n_latent n_top_genes": integer(1),
    "n_components": optional(integer(1)),
    "n_clusters": optional(integer(2)),
    "reconstruction_weight masked_weight adjacency_weight kl_weight cluster_weight": number(0),
    "mask_rate": number(0.01, 0.99),
    "dropout_rate": number(0, 0.99),
    "batch_norm_momentum": share_above_zero,
    "gamma": number(1),
    "decoder": choice(("graph", "linear")),
    "representation": choice(("encoder", "decoder")),
    "features": choice(("components", "genes", EMBEDDING)),
    "masking": choice(("replace", "add")),
    "masked_loss": choice(("cosine", "squared")),
    "mask_at_inference redraw_pairs": check_flag,
}
