"""The masked autoencoder of SEDR, its variational graph encoder, and its losses."""

from typing import Any, Literal

import torch
from scvi.module.base import BaseModuleClass, LossOutput, auto_move_data
from torch import Tensor

from spotscape import nn
from spotscape._constants import BATCH_KEYS, MODULE_KEYS
from spotscape.module._batch import patch_sample


class SEDRModule(BaseModuleClass):
    r"""Masked autoencoder with a variational graph autoencoder on top of it :cite:p:`Xu2024`.

    The latent representation :math:`Z = [Z_f, Z_g]` joins what the feature encoder makes of a spot with what the
    variational graph encoder makes of its neighbourhood. In training the expression of many spots is hidden. The loss
    is

    .. math::

        L = w_\text{reconstruction} L_\text{recon} + w_\text{masked} L_\text{masked}
            + w_\text{adjacency} L_\text{adj} + w_\text{KL} D_\text{KL} + w_\text{cluster} L_\text{DEC}

    with the mean over all spots of :func:`~spotscape.nn.reconstruction_loss`, that over the masked spots of
    :func:`~spotscape.nn.scaled_cosine_loss`, :func:`~spotscape.nn.adjacency_loss`, the mean of
    :func:`~spotscape.nn.kl_divergence` over the spots and, once there are clusters, that of
    :func:`~spotscape.nn.clustering_loss`. A weight of zero switches a term off and spares its cost.

    Parameters
    ----------
    n_input
        Number of features of a spot.
    n_hidden
        Width of the hidden layers.
    n_latent
        Width of each of the two parts of the latent representation.
    decoder
        ``"graph"`` (a graph convolution) or ``"linear"`` (spot by spot).
    representation
        What the latent representation is: ``"encoder"``, :math:`Z` as published, or ``"decoder"``, what the decoder
        reads, which for the graph decoder is :math:`\hat A Z`.
    masking
        ``"replace"`` puts a learnable token in the place of the expression of masked spots, ``"add"`` adds it.
    mask_rate
        Probability that a spot is masked.
    mask_at_inference
        Whether spots are masked when the representation is asked for, too.
    masked_loss
        ``"cosine"`` or ``"squared"``: the error of the masked spots.
    gamma
        Power of the cosine error.
    dropout_rate
        Probability that a value is dropped in training.
    batch_norm_momentum
        Weight of the newest batch in the running statistics of batch normalisation, in PyTorch's sense.
    reconstruction_weight, masked_weight, adjacency_weight, kl_weight, cluster_weight
        Weights of the losses.
    redraw_pairs
        Whether the pairs without an edge are drawn anew in each step.
    n_clusters
        Number of clusters of deep embedded clustering; ``None`` for none.
    seed
        Seed of the weights and of all that is drawn, which depends on the seed and the step only.
    """

    def __init__(
        self,
        n_input: int,
        *,
        n_hidden: int = 64,
        n_latent: int = 16,
        decoder: Literal["graph", "linear"] = "graph",
        representation: Literal["encoder", "decoder"] = "decoder",
        masking: Literal["replace", "add"] = "replace",
        mask_rate: float = 0.8,
        mask_at_inference: bool = False,
        masked_loss: Literal["cosine", "squared"] = "cosine",
        gamma: float = 3.0,
        dropout_rate: float = 0.0,
        batch_norm_momentum: float = 0.1,
        reconstruction_weight: float = 10.0,
        masked_weight: float = 1.0,
        adjacency_weight: float = 0.1,
        kl_weight: float = 0.001,
        cluster_weight: float = 1.0,
        redraw_pairs: bool = True,
        n_clusters: int | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.n_input = n_input
        self.representation = representation
        self.masking = masking
        self.mask_rate = mask_rate
        self.mask_at_inference = mask_at_inference
        self.masked_loss = masked_loss
        self.gamma = gamma
        self.dropout_rate = dropout_rate
        self.reconstruction_weight = reconstruction_weight
        self.masked_weight = masked_weight
        self.adjacency_weight = adjacency_weight
        self.kl_weight = kl_weight
        self.cluster_weight = cluster_weight
        self.redraw_pairs = redraw_pairs
        self.n_clusters = n_clusters
        self.seed = seed
        self._n_steps = 0
        self._targets: Tensor | None = None
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.feature_encoder = nn.FeatureEncoder(
                n_input, n_hidden, n_latent, dropout_rate=dropout_rate, batch_norm_momentum=batch_norm_momentum
            )
            self.graph_encoder = nn.VariationalGraphEncoder(n_latent, n_hidden, n_latent, dropout_rate=dropout_rate)
            self.average = nn.NeighbourhoodSum() if decoder == "graph" else None
            self.decoder = torch.nn.Linear(2 * n_latent, n_input)
        self.centres = None if n_clusters is None else torch.nn.Parameter(torch.zeros(n_clusters, 2 * n_latent))

    @property
    def n_layers(self) -> int:
        """Number of hops that a reconstruction sees."""
        return 2 if self.average is None else 3

    @property
    def decoder_reads(self) -> str:
        """Which output of :meth:`inference` :meth:`reconstruct` reads."""
        return MODULE_KEYS.LATENT if self.representation == "decoder" else MODULE_KEYS.DECODER_INPUT

    @property
    def has_clusters(self) -> bool:
        """Whether deep embedded clustering has begun."""
        return self.centres is not None and bool(self.centres.any())

    def forward(self, tensors: dict[str, Tensor], *, compute_loss: bool = True, **kwargs: Any):
        """Mask spots if the loss is asked for, and take the tissue as it is otherwise."""
        inference_kwargs = {"augment": compute_loss} | kwargs.pop("inference_kwargs", {})
        return super().forward(tensors, compute_loss=compute_loss, inference_kwargs=inference_kwargs, **kwargs)

    def _get_inference_input(self, tensors: dict[str, Tensor], **kwargs: Any) -> dict[str, Any]:
        return {
            "x": tensors[BATCH_KEYS.FEATURES],
            "adjacency": tensors[BATCH_KEYS.ADJACENCY],
            "nodes_within_hop": tensors[BATCH_KEYS.NODES_WITHIN_HOP],
            "nodes": tensors[BATCH_KEYS.NODE_INDEX],
        }

    @auto_move_data
    def inference(
        self, x: Tensor, adjacency: Tensor, nodes_within_hop: Tensor, nodes: Tensor, *, augment: bool = False
    ) -> dict[str, Tensor]:
        """Latent representation of the seeds, of the tissue as it is or with masked spots.

        Parameters
        ----------
        x
            Features of all nodes, seeds first. ``(n_nodes, n_input)``, dense or sparse CSR.
        adjacency
            Normalised adjacency, sparse CSR, with a row for each node nearer than the outermost hop.
        nodes_within_hop
            Number of nodes at most 0, 1, ... hops from the seeds. ``(n_layers + 1,)``.
        nodes
            Number of each node in the whole data, by which it is masked. ``(n_nodes,)``.
        augment
            Whether to mask spots and, in training, to drop values and to draw from the normal distributions.

        Returns
        -------
        For the seeds: the latent representation ``"z"``, what the encoders give, what the decoder reads, mean and log
        deviation of the graph encoder, and which spots are masked.
        """
        hops = nodes_within_hop.tolist()
        n_seeds = hops[0]
        draws = augment and self.training
        generator = self._generator(1, adjacency.device) if draws else None
        mask = None
        if augment or self.mask_at_inference:
            mask = nn.draw_spot_mask(nodes, self.mask_rate, self._key(0))
        features = self.feature_encoder(x, n_seeds, mask=mask, additive=self.masking == "add", generator=generator)
        mean, log_deviation = self.graph_encoder(features, adjacency, hops[-3:], generator)
        of_graph = mean
        if draws:
            noise = torch.empty_like(mean).normal_(generator=generator)
            of_graph = mean + log_deviation.exp() * noise
        encoded = torch.cat([features[: len(mean)], of_graph], dim=1)
        shown = nn.drop_out(encoded, self.dropout_rate, generator)
        if self.average is not None:
            shown = self.average(shown, nn.leading_rows(adjacency, n_seeds, len(encoded)))
        outputs = {
            MODULE_KEYS.ENCODED: encoded[:n_seeds],
            MODULE_KEYS.DECODER_INPUT: shown,
            MODULE_KEYS.MEAN: mean[:n_seeds],
            MODULE_KEYS.LOG_DEVIATION: log_deviation[:n_seeds],
        }
        if mask is not None:
            outputs[MODULE_KEYS.MASK] = mask[:n_seeds]
        outputs[MODULE_KEYS.LATENT] = outputs[
            MODULE_KEYS.DECODER_INPUT if self.representation == "decoder" else MODULE_KEYS.ENCODED
        ]
        return outputs

    def _get_generative_input(
        self, tensors: dict[str, Tensor], inference_outputs: dict[str, Any], **kwargs: Any
    ) -> dict[str, Any]:
        return {"decoder_input": inference_outputs[MODULE_KEYS.DECODER_INPUT]}

    def generative(self, decoder_input: Tensor) -> dict[str, Tensor]:
        """What the last, linear map of the decoder reads, from which the losses need not build the features.

        Parameters
        ----------
        decoder_input
            ``(n_seeds, 2 * n_latent)``.

        Returns
        -------
        ``{"reconstruction": decoder_input}``.
        """
        return {MODULE_KEYS.RECONSTRUCTION: decoder_input}

    @auto_move_data
    def reconstruct(self, latent: Tensor) -> Tensor:
        """Features that the decoder expects of the output :attr:`decoder_reads`.

        Parameters
        ----------
        latent
            ``(n_spots, 2 * n_latent)``.

        Returns
        -------
        ``(n_spots, n_input)``.
        """
        return self.decoder(latent)

    def loss(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Any],
        generative_outputs: dict[str, Any],
        *,
        use_clusters: bool = False,
    ) -> LossOutput:
        """Weighted sum of the losses.

        Parameters
        ----------
        tensors
            A batch of the loader.
        inference_outputs, generative_outputs
            What :meth:`inference` (with ``augment=True``) and :meth:`generative` return.
        use_clusters
            Whether deep embedded clustering has begun.

        Returns
        -------
        The loss, the reconstruction loss of each seed, and each term (unweighted) under its name.
        """
        latent = inference_outputs[MODULE_KEYS.ENCODED].float()
        # Neither dot products of many pairs nor squares of many genes leave half precision any digits.
        with torch.autocast(latent.device.type, enabled=False):
            hidden = generative_outputs[MODULE_KEYS.RECONSTRUCTION].float()
            reconstruction, masked = self._errors(tensors[BATCH_KEYS.FEATURES], hidden, inference_outputs)
            terms, weights = {}, {}
            loss = self.reconstruction_weight * nn.mean_over_processes(reconstruction)
            if self.masked_weight > 0:
                terms["masked"], weights["masked"] = nn.mean_over_processes(masked), self.masked_weight
            if self.adjacency_weight > 0:
                adjacency = self._adjacency_loss(tensors, latent)
                terms["adjacency"], weights["adjacency"] = adjacency, self.adjacency_weight
            if self.kl_weight > 0:
                moments = (inference_outputs[name].float() for name in (MODULE_KEYS.MEAN, MODULE_KEYS.LOG_DEVIATION))
                terms["kl"], weights["kl"] = nn.mean_over_processes(nn.kl_divergence(*moments)), self.kl_weight
            if self.centres is not None:
                if use_clusters and self._targets is not None:
                    terms["cluster"] = self._cluster_loss(tensors, latent, self._targets)
                else:
                    # Several processes wait for a gradient of every parameter in every step.
                    terms["cluster"] = 0 * self.centres.sum()
                weights["cluster"] = self.cluster_weight
            loss = loss + sum(weights[name] * term for name, term in terms.items())
        if self.training:
            self._n_steps += 1
        return LossOutput(
            loss=loss,
            reconstruction_loss=reconstruction.detach(),
            n_obs_minibatch=len(latent),
            extra_metrics={f"{name}_loss": value.detach() for name, value in terms.items()},
        )

    def sample(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: only half of the representation has a distribution, and there is none of counts."""
        raise NotImplementedError(
            "SEDR has no distribution of counts to draw from; use `get_normalized_expression` for denoised expression."
        )

    @torch.no_grad()
    def start_clusters(self, latent: Tensor) -> None:
        """Put the centres of the clusters where k-means finds them.

        Parameters
        ----------
        latent
            What the encoders give of all training spots. ``(n_spots, 2 * n_latent)``.
        """
        if self.centres is None:
            raise ValueError("The module was made without clusters; pass `n_clusters`.")
        generator = torch.Generator(latent.device).manual_seed(self.seed)
        self.centres.copy_(nn.find_centres(latent, len(self.centres), generator=generator))

    @torch.no_grad()
    def update_targets(self, latent: Tensor, nodes: Tensor) -> Tensor:
        """Sharpen the clusters' probabilities into the targets of the steps to come.

        Parameters
        ----------
        latent
            What the encoders give of all training spots. ``(n_spots, 2 * n_latent)``.
        nodes
            Number of each in the whole data. ``(n_spots,)``.

        Returns
        -------
        Most probable cluster of each spot. ``(n_spots,)``.
        """
        assignment = self.assign(latent)
        self._targets = assignment.new_zeros(int(nodes.max()) + 1, assignment.shape[1])
        self._targets[nodes] = nn.target_distribution(assignment)
        return assignment.argmax(dim=1)

    @auto_move_data
    def assign(self, latent: Tensor) -> Tensor:
        """Probability of each cluster. ``(n_spots, 2 * n_latent)`` to ``(n_spots, n_clusters)``."""
        if self.centres is None:
            raise ValueError("The module was made without clusters; pass `n_clusters`.")
        return nn.soft_assignment(latent, self.centres)

    def _generator(self, stream: int, device: torch.device) -> torch.Generator:
        return torch.Generator(device).manual_seed(self._key(stream))

    def _key(self, stream: int) -> int:
        return nn.random_key(self.seed, self._n_steps if self.training else -1, stream)

    def _errors(self, target: Tensor, hidden: Tensor, outputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Squared error of each seed, and the error of the masked ones."""
        mask, n_seeds = outputs[MODULE_KEYS.MASK], len(hidden)
        if target.layout == torch.strided:
            target, prediction = target[:n_seeds], self.decoder(hidden)
            squared = nn.reconstruction_loss(target, prediction)
            if self.masked_loss == "squared":
                return squared, squared[mask]
            # As released: where the token is added it is part of what the masked spots should become.
            shown = target + self.feature_encoder.token if self.masking == "add" else target
            return squared, nn.scaled_cosine_loss(shown[mask], prediction[mask], gamma=self.gamma)
        layer = (nn.leading_rows(target, n_seeds, target.shape[1]), hidden, self.decoder.weight, self.decoder.bias)
        squared = nn.sparse_reconstruction_loss(*layer)
        error = squared if self.masked_loss == "squared" else nn.sparse_scaled_cosine_loss(*layer, gamma=self.gamma)
        return squared, error[mask]

    def _adjacency_loss(self, tensors: dict[str, Tensor], latent: Tensor) -> Tensor:
        edges = nn.edges_between_seeds(tensors[BATCH_KEYS.ADJACENCY], len(latent))
        slices = tensors[BATCH_KEYS.SLICE][: len(latent), 0]
        key = self._key(2) if self.redraw_pairs else nn.random_key(self.seed, 0, 2)
        generator = torch.Generator(latent.device).manual_seed(key)
        sample = patch_sample(tensors)
        if sample is not None:
            # Pairs are those of this process: over the processes only the mean is taken.
            sample = sample._replace(n_drawn=len(sample.sizes))
        pairs = nn.draw_pairs(slices, max(edges.shape[1], 1), generator)
        loss = nn.adjacency_loss(latent, edges, pairs, slices, sample=sample)
        return nn.mean_over_processes(loss[None])

    def _cluster_loss(self, tensors: dict[str, Tensor], latent: Tensor, targets: Tensor) -> Tensor:
        nodes = tensors[BATCH_KEYS.NODE_INDEX][: len(latent)]
        known = nodes < len(targets)
        target = targets[nodes[known]]
        return nn.mean_over_processes(nn.clustering_loss(self.assign(latent[known]), target))
