"""The Siamese graph encoder of Spotscape and its four losses."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from scvi.module.base import BaseModuleClass, LossOutput, auto_move_data
from torch import Tensor

from spotscape import nn
from spotscape._constants import BATCH_KEYS, MODULE_KEYS
from spotscape.module._batch import patch_sample


class SpotscapeModule(BaseModuleClass):
    r"""Siamese graph encoder that aligns the similarities of all pairs of spots between two views :cite:p:`Oh2025`.

    Two views of the tissue, each with edges dropped and features hidden, go through one encoder and one decoder. The
    loss is

    .. math::

        L = w_\text{telescope} L_\text{SC} + w_\text{reconstruction} L_\text{recon}
            + w_\text{scaling} L_\text{SS} + w_\text{prototype} L_\text{PCL}

    with the terms of :func:`~spotscape.nn.similarity_telescope_loss`, :func:`~spotscape.nn.reconstruction_loss` (the
    mean over both views), :func:`~spotscape.nn.similarity_scaling_loss` and
    :func:`~spotscape.nn.prototypical_contrastive_loss` (the mean over all granularities). A weight of zero switches a
    term off and spares its cost.

    Parameters
    ----------
    n_input
        Number of features of a spot.
    n_slices
        Number of slices in the data to train on. The scaling and prototype losses need at least two.
    n_hidden
        Width of the hidden layers.
    n_latent
        Width of the latent representation.
    n_layers
        Number of graph convolutions, which is also how many hops a spot sees.
    latent_activation
        ``"linear"`` or ``"relu"`` (as published, with batch normalisation before it).
    residual
        Whether the convolutions add to the smoothed features, which must be dense then.
    batch_norm_momentum
        Weight of the newest batch in the running statistics of batch normalisation, in PyTorch's sense.
    edge_drop_rate, feature_drop_rate
        Probabilities with which a view loses an edge, or a whole feature.
    telescope_weight, reconstruction_weight, scaling_weight, prototype_weight
        Weights of the four losses.
    n_similar
        Number of most similar spots that similarity scaling compares.
    n_anchors
        Number of spots that similarity scaling is averaged over in one step; ``None`` for all.
    n_prototypes
        Numbers of prototypes, one for each granularity.
    temperature
        Temperature of the prototypical contrastive loss.
    prototype_refresh
        Number of steps for which prototypes are kept before k-means moves them on.
    seed
        Seed of the weights and of the augmentation. The augmentation of a step depends on the seed and the step only.
    """

    def __init__(
        self,
        n_input: int,
        *,
        n_slices: int = 1,
        n_hidden: int = 256,
        n_latent: int = 64,
        n_layers: int = 2,
        latent_activation: Literal["linear", "relu"] = "linear",
        residual: bool = True,
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
        seed: int = 0,
    ):
        super().__init__()
        self.n_input = n_input
        self.n_slices = n_slices
        self.n_layers = n_layers
        self.edge_drop_rate = edge_drop_rate
        self.feature_drop_rate = feature_drop_rate
        self.telescope_weight = telescope_weight
        self.reconstruction_weight = reconstruction_weight
        self.scaling_weight = scaling_weight
        self.prototype_weight = prototype_weight
        self.n_similar = n_similar
        self.n_anchors = n_anchors
        self.n_prototypes = tuple(n_prototypes)
        self.temperature = temperature
        self.prototype_refresh = prototype_refresh
        self.seed = seed

        self._n_steps = 0
        self._prototypes: list[Tensor | None] = [None] * len(self.n_prototypes)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encoder = nn.GraphEncoder(
                [n_input, *[n_hidden] * (n_layers - 1), n_latent],
                batch_norm_momentum=batch_norm_momentum,
                latent_activation=latent_activation,
                residual=residual,
            )
            self.decoder = nn.Decoder(n_latent, n_hidden, n_input, batch_norm_momentum=batch_norm_momentum)

    @property
    def uses_prototypes(self) -> bool:
        """Whether the prototypical contrastive loss takes part, once the warm-up is over."""
        return self.prototype_weight > 0 and self.n_slices > 1

    @property
    def decoder_reads(self) -> str:
        """Which output of :meth:`inference` :meth:`reconstruct` reads."""
        return MODULE_KEYS.LATENT

    def forward(self, tensors: dict[str, Tensor], *, compute_loss: bool = True, **kwargs: Any):
        """Run two augmented views if the loss is asked for, the tissue as it is otherwise."""
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
        self,
        x: Tensor,
        adjacency: Tensor,
        nodes_within_hop: Tensor,
        nodes: Tensor | None = None,
        *,
        augment: bool = False,
    ) -> dict[str, Any]:
        """Latent representation of the seeds: of the tissue as it is, or of two augmented views.

        Parameters
        ----------
        x
            Features of all nodes, seeds first. ``(n_nodes, n_input)``, dense or sparse CSR.
        adjacency
            Normalised adjacency, sparse CSR, with a row for each node nearer than the outermost hop.
        nodes_within_hop
            Number of nodes at most 0, 1, ... hops from the seeds. ``(n_layers + 1,)``.
        nodes
            Number of each node in the whole data, by which its edges are dropped. ``(n_nodes,)``. ``None``: in order.
        augment
            Whether to encode two augmented views in place of the tissue as it is.

        Returns
        -------
        ``{"views": [first, second]}`` or ``{"z": latent}``, each tensor ``(n_seeds, n_latent)``.
        """
        hops = nodes_within_hop.tolist()
        if not augment:
            return {MODULE_KEYS.LATENT: self.encoder(x, adjacency, hops)}
        nodes = torch.arange(len(x), device=x.device) if nodes is None else nodes
        views = []
        for view in range(2):
            thinned = nn.drop_edges(adjacency, self.edge_drop_rate, self._key(view), nodes)
            mask = nn.draw_feature_mask(self.n_input, self.feature_drop_rate, self._generator(view, x.device))
            views.append(self.encoder(x, thinned, hops, mask))
        return {MODULE_KEYS.VIEWS: views}

    def _get_generative_input(
        self, tensors: dict[str, Tensor], inference_outputs: dict[str, Any], **kwargs: Any
    ) -> dict[str, Any]:
        views = inference_outputs.get(MODULE_KEYS.VIEWS)
        return {"latents": [inference_outputs[MODULE_KEYS.LATENT]] if views is None else views}

    @auto_move_data
    def generative(self, latents: list[Tensor]) -> dict[str, list[Tensor]]:
        """Last hidden layer of the decoder for each latent representation.

        The features themselves are left to :meth:`reconstruct` and to the loss, which need not build them.

        Parameters
        ----------
        latents
            Latent representations. Each is ``(n_spots, n_latent)``.

        Returns
        -------
        ``{"reconstruction": [...]}``, each tensor ``(n_spots, n_hidden)``.
        """
        return {MODULE_KEYS.RECONSTRUCTION: [self.decoder.hidden(latent) for latent in latents]}

    @auto_move_data
    def reconstruct(self, latent: Tensor) -> Tensor:
        """Features that the decoder expects. ``(n_spots, n_latent)`` to ``(n_spots, n_input)``."""
        return self.decoder(latent)

    def loss(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Any],
        generative_outputs: dict[str, Any],
        *,
        use_prototypes: bool = False,
    ) -> LossOutput:
        """Weighted sum of the four losses.

        Parameters
        ----------
        tensors
            A batch of the loader.
        inference_outputs, generative_outputs
            What :meth:`inference` (with ``augment=True``) and :meth:`generative` return.
        use_prototypes
            Whether the warm-up of the prototypes is over.

        Returns
        -------
        The loss, the reconstruction loss of each seed, and each term (unweighted) under its name.
        """
        first, second = (view.float() for view in inference_outputs[MODULE_KEYS.VIEWS])
        target = tensors[BATCH_KEYS.FEATURES]
        reconstructions = generative_outputs[MODULE_KEYS.RECONSTRUCTION]
        terms = {}
        # Similarities are near 1, where half precision has no digits left.
        with torch.autocast(first.device.type, enabled=False):
            reconstruction = torch.stack(
                [self._reconstruction_loss(target, hidden.float()) for hidden in reconstructions]
            ).mean(0)
            loss = self.reconstruction_weight * nn.mean_over_processes(reconstruction)
            if self.telescope_weight > 0:
                terms["telescope"] = nn.similarity_telescope_loss(first, second, sample=patch_sample(tensors))
                loss = loss + self.telescope_weight * terms["telescope"]
            if self.n_slices > 1:
                first, second, slices = self._spots_to_compare(first, second, tensors)
            if self.scaling_weight > 0 and self.n_slices > 1:
                terms["scaling"] = self._scaling_loss(first, second, slices)
                loss = loss + self.scaling_weight * terms["scaling"]
            if self.uses_prototypes:
                terms["prototype"] = self._prototype_loss(first, second) if use_prototypes else first.new_zeros(())
                loss = loss + self.prototype_weight * terms["prototype"]
        if self.training:
            self._n_steps += 1
        return LossOutput(
            loss=loss,
            reconstruction_loss=reconstruction.detach(),
            n_obs_minibatch=len(reconstruction),
            extra_metrics={f"{name}_loss": value.detach() for name, value in terms.items()},
        )

    def sample(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: the model is deterministic and has no distribution to draw from."""
        raise NotImplementedError(
            "Spotscape is not a generative model; use `get_normalized_expression` for denoised expression."
        )

    def _generator(self, stream: int, device: torch.device) -> torch.Generator:
        return torch.Generator(device).manual_seed(self._key(stream))

    def _key(self, stream: int) -> int:
        return nn.random_key(self.seed, self._n_steps if self.training else -1, stream)

    def _reconstruction_loss(self, target: Tensor, hidden: Tensor) -> Tensor:
        if target.layout == torch.strided:
            return nn.reconstruction_loss(target[: len(hidden)], self.decoder.output(hidden))
        seeds = nn.leading_rows(target, len(hidden), target.shape[1])
        return nn.sparse_reconstruction_loss(seeds, hidden, self.decoder.output.weight, self.decoder.output.bias)

    def _spots_to_compare(
        self, first: Tensor, second: Tensor, tensors: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Both views and the slices of the seeds among which similarity scaling and prototypes compare spots."""
        slices = tensors[BATCH_KEYS.SLICE][: len(first), 0]
        # Processes share the batches of the training only.
        if not self.training:
            return first, second, slices
        # In the order of the data, so that the same anchors and prototypes are drawn by however many processes.
        order = nn.gather_spots(tensors[BATCH_KEYS.NODE_INDEX][: len(first)]).argsort()
        first, second, slices = (nn.gather_spots(values)[order] for values in (first, second, slices))
        return first, second, slices

    def _scaling_loss(self, first: Tensor, second: Tensor, slices: Tensor) -> Tensor:
        anchors = None
        if self.n_anchors is not None and self.n_anchors < len(first):
            draw = torch.rand(len(first), generator=self._generator(2, first.device), device=first.device)
            anchors = draw.topk(self.n_anchors).indices
        return nn.similarity_scaling_loss(first, second, slices, n_similar=self.n_similar, anchors=anchors)

    def _prototype_loss(self, first: Tensor, second: Tensor) -> Tensor:
        losses = []
        target = second.detach()
        generator = self._generator(3, first.device)
        for i, n_prototypes in enumerate(self.n_prototypes):
            prototypes, k = self._prototypes[i], min(n_prototypes, len(target))
            if prototypes is not None and len(prototypes) != k:
                prototypes = None
            if prototypes is None or (self.training and self._n_steps % self.prototype_refresh == 0):
                prototypes = nn.find_prototypes(target, k, start=prototypes, generator=generator)
                if self.training:
                    self._prototypes[i] = prototypes
            assignment = nn.nearest_prototype(target, prototypes)
            losses.append(nn.prototypical_contrastive_loss(first, prototypes, assignment, temperature=self.temperature))
        return torch.stack(losses).mean()
