"""The Siamese graph encoder of Spotscape and its four losses."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from scvi.module.base import LossOutput, auto_move_data
from torch import Tensor

from spotscape import nn
from spotscape._constants import BATCH_KEYS, MODULE_KEYS
from spotscape.module._base import GraphModule


class SpotscapeModule(GraphModule):
    r"""Siamese graph encoder that aligns the similarities of all pairs of spots between two views :cite:p:`Oh2025`.

    The same encoder and decoder are applied to two views of the tissue, each with randomly dropped edges and hidden
    features. The loss is

    .. math::

        L = w_\text{telescope} L_\text{SC} + w_\text{reconstruction} L_\text{recon}
            + w_\text{scaling} L_\text{SS} + w_\text{prototype} L_\text{PCL}

    with the terms :func:`~spotscape.nn.similarity_telescope_loss`, :func:`~spotscape.nn.reconstruction_loss` (mean over
    both views), :func:`~spotscape.nn.similarity_scaling_loss` and
    :func:`~spotscape.nn.prototypical_contrastive_loss` (mean over all numbers of prototypes). A term with weight zero
    is not computed.

    Parameters
    ----------
    n_input
        Number of features of each spot.
    n_slices
        Number of slices in the training data. The scaling and prototype losses need at least two.
    n_hidden
        Number of hidden units.
    n_latent
        Number of latent dimensions.
    n_layers
        Number of graph convolutions, which is also the number of hops from which a spot takes information.
    encoder
        ``"gcn"`` for graph convolutions, or ``"gat"`` for graph attention.
    latent_activation
        ``"linear"``, or ``"relu"`` with batch normalisation before it, as published.
    residual
        Whether the output of the convolutions is added to the smoothed features, see
        :class:`~spotscape.nn.GraphEncoder`. Needs dense features.
    batch_norm_momentum
        Weight of the newest batch in the running statistics of batch normalisation, as in PyTorch.
    edge_drop_rate, feature_drop_rate
        Probabilities that an edge is dropped from a view, and that a feature is hidden in all its spots.
    telescope_weight, reconstruction_weight, scaling_weight, prototype_weight
        Weights of the four terms of the loss.
    n_similar
        Number of most similar spots in similarity scaling.
    n_anchors
        Number of randomly drawn spots over which similarity scaling is averaged in each step. ``None``: all spots.
    n_prototypes
        Numbers of prototypes. The prototypical contrastive loss is averaged over them.
    temperature
        Temperature of the prototypical contrastive loss.
    prototype_refresh
        Number of training steps between two updates of the prototypes by k-means.
    seed
        Seed of the initial parameters and of the augmentation. The augmentation of a training step depends only on the
        seed and on the number of the step.

    Examples
    --------
    Ten spots with 20 features; each spot is a neighbour of all others:

    >>> import torch
    >>> from spotscape.module import SpotscapeModule
    >>> module = SpotscapeModule(n_input=20, n_latent=8)
    >>> adjacency, nodes_within_hop = torch.full((10, 10), 0.1).to_sparse_csr(), torch.tensor([10, 10, 10])
    >>> outputs = module.inference(torch.ones(10, 20), adjacency, nodes_within_hop)
    >>> outputs["z"].shape
    torch.Size([10, 8])
    >>> module.reconstruct(outputs["z"]).shape
    torch.Size([10, 20])
    """

    STATE = ("_n_steps", "_prototypes")

    def __init__(
        self,
        n_input: int,
        *,
        n_slices: int = 1,
        n_hidden: int = 256,
        n_latent: int = 64,
        n_layers: int = 2,
        encoder: Literal["gcn", "gat"] = "gcn",
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
        super().__init__(seed)
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
        self._prototypes: list[Tensor | None] = [None] * len(self.n_prototypes)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encoder = nn.GraphEncoder(
                [n_input, *[n_hidden] * (n_layers - 1), n_latent],
                batch_norm_momentum=batch_norm_momentum,
                latent_activation=latent_activation,
                residual=residual,
                attention=encoder == "gat",
            )
            self.decoder = nn.Decoder(n_latent, n_hidden, n_input, batch_norm_momentum=batch_norm_momentum)

    @property
    def uses_prototypes(self) -> bool:
        """Whether the loss includes the prototypical contrastive term after the warm-up."""
        return self.prototype_weight > 0 and self.n_slices > 1

    @property
    def decoder_reads(self) -> str:
        """Key of the output of :meth:`inference` that :meth:`reconstruct` takes as its argument."""
        return MODULE_KEYS.LATENT

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
            Index of each node in the full data set, which determines the edges that are dropped. ``(n_nodes,)``.
            ``None``: ``0, 1, ...``.
        augment
            Whether to encode two augmented views instead of the original data.

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
            remaining = nn.drop_edges(adjacency, self.edge_drop_rate, self._key(view), nodes)
            mask = nn.draw_feature_mask(self.n_input, self.feature_drop_rate, self._generator(view, x.device))
            views.append(self.encoder(x, remaining, hops, mask))
        return {MODULE_KEYS.VIEWS: views}

    def _get_generative_input(
        self, tensors: dict[str, Tensor], inference_outputs: dict[str, Any], **kwargs: Any
    ) -> dict[str, Any]:
        views = inference_outputs.get(MODULE_KEYS.VIEWS)
        return {"latents": [inference_outputs[MODULE_KEYS.LATENT]] if views is None else views}

    @auto_move_data
    def generative(self, latents: list[Tensor]) -> dict[str, list[Tensor]]:
        """Compute the last hidden layer of the decoder for each latent representation.

        The losses are computed from this layer, without building the reconstructed features of sparse data.

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
        """Reconstruct the features.

        Parameters
        ----------
        latent
            Latent representation. ``(n_spots, n_latent)``.

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
        use_prototypes: bool = False,
    ) -> LossOutput:
        """Compute the weighted sum of the four losses.

        Parameters
        ----------
        tensors
            Batch of the data loader.
        inference_outputs, generative_outputs
            Outputs of :meth:`inference` (with ``augment=True``) and :meth:`generative`.
        use_prototypes
            Whether to include the prototypical contrastive loss.

        Returns
        -------
        The loss, the reconstruction loss of each seed spot, and each unweighted term by name.
        """
        first, second = (view.float() for view in inference_outputs[MODULE_KEYS.VIEWS])
        target = tensors[BATCH_KEYS.FEATURES]
        reconstructions = generative_outputs[MODULE_KEYS.RECONSTRUCTION]
        terms = {}
        # Differences of similarities close to 1 need more than half precision.
        with torch.autocast(first.device.type, enabled=False):
            hidden = torch.stack([one.float() for one in reconstructions])
            reconstruction = self._reconstruction_loss(target, hidden).mean(0)
            loss = self.reconstruction_weight * nn.mean_over_processes(reconstruction)
            if self.telescope_weight > 0:
                terms["telescope"] = nn.similarity_telescope_loss(first, second, sample=self._patch_sample(tensors))
                loss = loss + self.telescope_weight * terms["telescope"]
            if self.n_slices > 1:
                first, second, slices = self._views_of_all_processes(first, second, tensors)
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
        """Raise an error: the model is deterministic and has no distribution to sample from."""
        raise NotImplementedError(
            "Spotscape is not a generative model; use `get_normalized_expression` for denoised expression."
        )

    def _reconstruction_loss(self, target: Tensor, hidden: Tensor) -> Tensor:
        """Loss of each seed spot in each view. ``(n_views, n_seeds)``."""
        n_seeds = hidden.shape[1]
        if target.layout == torch.strided:
            return torch.stack([nn.reconstruction_loss(target[:n_seeds], self.decoder.output(one)) for one in hidden])
        seeds = nn.leading_rows(target, n_seeds, target.shape[1])
        return nn.sparse_reconstruction_loss(seeds, hidden, self.decoder.output.weight, self.decoder.output.bias)

    def _views_of_all_processes(
        self, first: Tensor, second: Tensor, tensors: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Both views and the slice codes of the seed spots of all processes, in the order of the full data set."""
        slices = tensors[BATCH_KEYS.SLICE][: len(first), 0]
        # Only training batches are divided among processes.
        if not self.training:
            return first, second, slices
        # Sorted, so that the random anchors and prototypes do not depend on the number of processes.
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
