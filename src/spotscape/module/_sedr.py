"""The masked autoencoder of SEDR, its variational graph encoder, and its losses."""

from typing import Any, Literal

import torch
from scvi.module.base import LossOutput, auto_move_data
from torch import Tensor

from spotscape import nn
from spotscape._constants import BATCH_KEYS, MODULE_KEYS
from spotscape.module._base import GraphModule


class SEDRModule(GraphModule):
    r"""Masked autoencoder combined with a variational graph autoencoder :cite:p:`Xu2024`.

    The latent representation :math:`Z = [Z_f, Z_g]` concatenates the output of the feature encoder for each spot and
    the output of the variational graph encoder for its neighbourhood. In training the expression of most spots is
    masked. The loss is

    .. math::

        L = w_\text{reconstruction} L_\text{recon} + w_\text{masked} L_\text{masked}
            + w_\text{adjacency} L_\text{adj} + w_\text{KL} D_\text{KL} + w_\text{cluster} L_\text{DEC}

    The terms are the mean over all spots of :func:`~spotscape.nn.reconstruction_loss`, the mean over the masked spots
    of :func:`~spotscape.nn.scaled_cosine_loss`, :func:`~spotscape.nn.adjacency_loss`, the mean over all spots of
    :func:`~spotscape.nn.kl_divergence` and, once the clusters are initialised, the mean over all spots of
    :func:`~spotscape.nn.clustering_loss`. A term with weight zero is not computed.

    Parameters
    ----------
    n_input
        Number of features of each spot.
    n_hidden
        Number of hidden units.
    n_latent
        Number of dimensions of each of the two parts of the latent representation.
    decoder
        ``"graph"``, a graph convolution, or ``"linear"``, a linear map of each spot.
    representation
        ``"encoder"``: the latent representation is :math:`Z`, as published. ``"decoder"``: it is the input of the
        decoder, which is :math:`\hat A Z` for the graph decoder.
    masking
        ``"replace"`` replaces the expression of masked spots by a learnable token, ``"add"`` adds the token to it.
    mask_rate
        Probability that a spot is masked.
    mask_at_inference
        Whether spots are also masked when the latent representation is computed.
    masked_loss
        Error of the masked spots, ``"cosine"`` or ``"squared"``.
    gamma
        Power of the cosine error.
    dropout_rate
        Dropout probability in training.
    batch_norm_momentum
        Weight of the newest batch in the running statistics of batch normalisation, as in PyTorch.
    reconstruction_weight, masked_weight, adjacency_weight, kl_weight, cluster_weight
        Weights of the terms of the loss.
    redraw_pairs
        Whether new pairs without an edge are drawn in each training step.
    n_clusters
        Number of clusters of deep embedded clustering. ``None``: no clustering.
    seed
        Seed of the initial parameters and of all random numbers. The random numbers of a training step depend only on
        the seed and on the number of the step.

    Examples
    --------
    Ten spots with 20 features; each spot is a neighbour of all others:

    >>> import torch
    >>> from spotscape.module import SEDRModule
    >>> module = SEDRModule(n_input=20, n_latent=4)
    >>> adjacency, nodes_within_hop = torch.full((10, 10), 0.1).to_sparse_csr(), torch.tensor([10, 10, 10, 10])
    >>> outputs = module.inference(torch.ones(10, 20), adjacency, nodes_within_hop, nodes=torch.arange(10))
    >>> outputs["z"].shape
    torch.Size([10, 8])
    >>> module.reconstruct(outputs["z"]).shape
    torch.Size([10, 20])
    """

    STATE = ("_n_steps", "_targets")

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
        super().__init__(seed)
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
        """Number of hops from which a reconstruction takes information."""
        return 2 if self.average is None else 3

    @property
    def decoder_reads(self) -> str:
        """Key of the output of :meth:`inference` that :meth:`reconstruct` takes as its argument."""
        return MODULE_KEYS.LATENT if self.representation == "decoder" else MODULE_KEYS.DECODER_INPUT

    @property
    def has_clusters(self) -> bool:
        """Whether the cluster centres of deep embedded clustering are initialised."""
        return self.centres is not None and bool(self.centres.any())

    @auto_move_data
    def inference(
        self, x: Tensor, adjacency: Tensor, nodes_within_hop: Tensor, nodes: Tensor, *, augment: bool = False
    ) -> dict[str, Tensor]:
        """Compute the latent representation of the seed spots.

        Parameters
        ----------
        x
            Features of all nodes, seed spots first. ``(n_nodes, n_input)``, dense or sparse CSR.
        adjacency
            Normalised adjacency as a sparse CSR tensor, with a row for every node inside the outermost hop.
        nodes_within_hop
            Number of nodes within 0, 1, ... hops of the seed spots. ``(n_layers + 1,)``.
        nodes
            Index of each node in the full data set, which determines whether it is masked. ``(n_nodes,)``.
        augment
            Whether to mask spots and, in training, to apply dropout and to sample from the normal distributions.

        Returns
        -------
        For the seed spots: the latent representation ``"z"``, the output of the encoders ``"encoded"``, the input of
        the decoder ``"decoder_input"``, mean and log standard deviation of the graph encoder (``"mean"``,
        ``"log_deviation"``) and, if spots are masked, the ``"mask"``.
        """
        hops = nodes_within_hop.tolist()
        n_seeds = hops[0]
        stochastic = augment and self.training
        generator = self._generator(1, adjacency.device) if stochastic else None
        masked = augment or self.mask_at_inference
        mask = nn.draw_spot_mask(nodes, self.mask_rate, self._key(0)) if masked else None
        features = self.feature_encoder(x, n_seeds, mask=mask, additive=self.masking == "add", generator=generator)
        mean, log_deviation = self.graph_encoder(features, adjacency, hops[-3:], generator)
        graph_latent = mean
        if stochastic:
            noise = torch.empty_like(mean).normal_(generator=generator)
            graph_latent = mean + log_deviation.exp() * noise
        encoded = torch.cat([features[: len(mean)], graph_latent], dim=1)
        decoder_input = nn.drop_out(encoded, self.dropout_rate, generator)
        if self.average is not None:
            decoder_input = self.average(decoder_input, nn.leading_rows(adjacency, n_seeds, len(encoded)))
        outputs = {
            MODULE_KEYS.ENCODED: encoded[:n_seeds],
            MODULE_KEYS.DECODER_INPUT: decoder_input,
            MODULE_KEYS.MEAN: mean[:n_seeds],
            MODULE_KEYS.LOG_DEVIATION: log_deviation[:n_seeds],
        }
        if mask is not None:
            outputs[MODULE_KEYS.MASK] = mask[:n_seeds]
        outputs[MODULE_KEYS.LATENT] = decoder_input if self.representation == "decoder" else encoded[:n_seeds]
        return outputs

    def _get_generative_input(
        self, tensors: dict[str, Tensor], inference_outputs: dict[str, Any], **kwargs: Any
    ) -> dict[str, Any]:
        return {"decoder_input": inference_outputs[MODULE_KEYS.DECODER_INPUT]}

    def generative(self, decoder_input: Tensor) -> dict[str, Tensor]:
        """Return the input of the last, linear map of the decoder.

        The losses are computed from this input, without building the reconstructed features of sparse data.

        Parameters
        ----------
        decoder_input
            Input of the decoder. ``(n_seeds, 2 * n_latent)``.

        Returns
        -------
        ``{"reconstruction": decoder_input}``.
        """
        return {MODULE_KEYS.RECONSTRUCTION: decoder_input}

    @auto_move_data
    def reconstruct(self, latent: Tensor) -> Tensor:
        """Reconstruct the features.

        Parameters
        ----------
        latent
            Output :attr:`decoder_reads` of :meth:`inference`. ``(n_spots, 2 * n_latent)``.

        Returns
        -------
        Features. ``(n_spots, n_input)``.
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
        """Compute the weighted sum of the losses.

        Parameters
        ----------
        tensors
            Batch of the data loader.
        inference_outputs, generative_outputs
            Outputs of :meth:`inference` (with ``augment=True``) and :meth:`generative`.
        use_clusters
            Whether to include the clustering loss.

        Returns
        -------
        The loss, the reconstruction loss of each seed spot, and each unweighted term by name.
        """
        latent = inference_outputs[MODULE_KEYS.ENCODED].float()
        # Sums over many pairs and squares of many genes need more than half precision.
        with torch.autocast(latent.device.type, enabled=False):
            target, hidden = tensors[BATCH_KEYS.FEATURES], generative_outputs[MODULE_KEYS.RECONSTRUCTION].float()
            reconstruction, masked = self._reconstruction_errors(target, hidden, inference_outputs)
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
                    # Distributed training needs a gradient of every parameter in every step.
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
        """Raise an error: the model has no distribution of counts to sample from."""
        raise NotImplementedError(
            "SEDR has no distribution of counts to sample; use `get_normalized_expression` for denoised expression."
        )

    @torch.no_grad()
    def start_clusters(self, latent: Tensor) -> None:
        """Initialise the cluster centres with k-means.

        Parameters
        ----------
        latent
            Output of the encoders for all training spots. ``(n_spots, 2 * n_latent)``.

        Raises
        ------
        ValueError
            If the module has no clusters.
        """
        centres = self._require_centres()
        generator = torch.Generator(latent.device).manual_seed(self.seed)
        centres.copy_(nn.find_centres(latent, len(centres), generator=generator))

    @torch.no_grad()
    def update_targets(self, latent: Tensor, nodes: Tensor) -> Tensor:
        """Compute the targets of the clustering loss for the next training steps.

        Parameters
        ----------
        latent
            Output of the encoders for all training spots. ``(n_spots, 2 * n_latent)``.
        nodes
            Index of each of these spots in the full data set. ``(n_spots,)``.

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
        """Compute the probability of each cluster.

        Parameters
        ----------
        latent
            Output of the encoders. ``(n_spots, 2 * n_latent)``.

        Returns
        -------
        Probabilities. ``(n_spots, n_clusters)``.

        Raises
        ------
        ValueError
            If the module has no clusters.
        """
        return nn.soft_assignment(latent, self._require_centres())

    def _require_centres(self) -> Tensor:
        if self.centres is None:
            raise ValueError("The module was created without clusters; pass `n_clusters` when creating it.")
        return self.centres

    def _reconstruction_errors(self, target: Tensor, hidden: Tensor, outputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Squared error of each seed spot, and the error of each masked seed spot."""
        mask, n_seeds = outputs[MODULE_KEYS.MASK], len(hidden)
        if target.layout == torch.strided:
            target, prediction = target[:n_seeds], self.decoder(hidden)
            squared = nn.reconstruction_loss(target, prediction)
            if self.masked_loss == "squared":
                return squared, squared[mask]
            # As in the released code, a token that is added to the expression is also added to the target.
            masked_target = target + self.feature_encoder.token if self.masking == "add" else target
            return squared, nn.scaled_cosine_loss(masked_target[mask], prediction[mask], gamma=self.gamma)
        arguments = nn.leading_rows(target, n_seeds, target.shape[1]), hidden, self.decoder.weight, self.decoder.bias
        squared = nn.sparse_reconstruction_loss(*arguments)
        if self.masked_loss == "squared":
            return squared, squared[mask]
        return squared, nn.sparse_scaled_cosine_loss(*arguments, gamma=self.gamma)[mask]

    def _adjacency_loss(self, tensors: dict[str, Tensor], latent: Tensor) -> Tensor:
        edges = nn.edges_between_seeds(tensors[BATCH_KEYS.ADJACENCY], len(latent))
        slices = tensors[BATCH_KEYS.SLICE][: len(latent), 0]
        key = self._key(2) if self.redraw_pairs else nn.random_key(self.seed, 0, 2)
        generator = torch.Generator(latent.device).manual_seed(key)
        sample = self._patch_sample(tensors)
        if sample is not None:
            # Pairs are drawn within this process; the losses of the processes are then averaged.
            sample = sample._replace(n_drawn=len(sample.sizes))
        pairs = nn.draw_pairs(slices, max(edges.shape[1], 1), generator)
        loss = nn.adjacency_loss(latent, edges, pairs, slices, sample=sample)
        return nn.mean_over_processes(loss[None])

    def _cluster_loss(self, tensors: dict[str, Tensor], latent: Tensor, targets: Tensor) -> Tensor:
        nodes = tensors[BATCH_KEYS.NODE_INDEX][: len(latent)]
        # There are targets up to the last training spot; those of validation spots before it are zero.
        has_target = nodes < len(targets)
        target = targets[nodes[has_target]]
        return nn.mean_over_processes(nn.clustering_loss(self.assign(latent[has_target]), target))
