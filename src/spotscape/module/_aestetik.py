"""The window auto-encoder of AESTETIK, with triplets over the clusters of each modality."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from scvi.module.base import BaseModuleClass, LossOutput, auto_move_data
from torch import Tensor

from spotscape import nn
from spotscape._constants import BATCH_KEYS, MODULE_KEYS, modality_key


class AestetikModule(BaseModuleClass):
    r"""Auto-encoder of the windows of spots in which spots of one cluster meet :cite:p:`Nonchev2024`.

    With the modalities :math:`m`, expression and image features, and their weights :math:`w_m` that sum to 1, the loss
    is

    .. math::

        L = \sum_m w_m \left( w_\text{reconstruction} L_\text{rec}^{(m)} + w_\text{triplet} L_\text{tri}^{(m)} \right)

    with the terms of :func:`~spotscape.nn.window_reconstruction_loss` and :func:`~spotscape.nn.triplet_margin_loss`,
    the triplets of each modality being over its own clusters. Spots without a modality take no part in its terms.

    Parameters
    ----------
    n_features
        Number of features of each modality.
    ring_weights
        Weight of a spot of each ring of a window in its average, the spot itself first.
    n_clusters
        Number of clusters of each modality.
    modality_weights
        :math:`w_m`.
    cross_sample_positives
        Whether triplets join slices, see :func:`~spotscape.nn.mine_triplets`.
    n_hidden, n_latent
        Widths.
    reconstruction_weight, triplet_weight
        Weights of the two kinds of loss.
    margin
        Margin of a triplet as a share of the distance between the centres of its two clusters.
    seed
        Seed of the weights and of the triplets; those of a step depend on the seed and the step only.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        ring_weights: Sequence[float],
        *,
        n_clusters: int,
        modality_weights: Mapping[str, float],
        cross_sample_positives: bool = True,
        n_hidden: int = 64,
        n_latent: int = 16,
        reconstruction_weight: float = 1.0,
        triplet_weight: float = 1.0,
        margin: float = 1.0,
        seed: int = 0,
    ):
        super().__init__()
        self.names = tuple(n_features)
        self.n_clusters = n_clusters
        self.modality_weights = dict(modality_weights)
        self.cross_sample_positives = cross_sample_positives
        self.reconstruction_weight = reconstruction_weight
        self.triplet_weight = triplet_weight
        self.margin = margin
        self.seed = seed
        self._n_steps = 0
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encoder = nn.WindowEncoder(n_features, ring_weights, modality_weights, n_latent=n_latent)
            self.decoder = nn.WindowDecoder(
                n_features, len(ring_weights), modality_weights, n_hidden=n_hidden, n_latent=n_latent
            )

    def set_axes(self, axes: Tensor, scale: float) -> None:
        """Start encoder and decoder from given axes, see :class:`~spotscape.nn.WindowEncoder`."""
        self.encoder.set_axes(axes, scale)
        self.decoder.set_axes(axes, scale)

    def _get_inference_input(self, tensors: dict[str, Tensor], **kwargs: Any) -> dict[str, Any]:
        return {
            name: {modality: tensors[modality_key(modality, key)] for modality in self.names}
            for name, key in (("means", BATCH_KEYS.WINDOWS), ("counts", BATCH_KEYS.COUNTS))
        }

    @auto_move_data
    def inference(self, means: dict[str, Tensor], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Latent representation, in a single pass and without any draw.

        Parameters
        ----------
        means
            Mean features of each ring, for each modality. ``(n_spots, n_rings, n_features)``.
        counts
            Number of spots with the modality in each ring. ``(n_spots, n_rings)``.

        Returns
        -------
        ``{"z": latent}``, ``(n_spots, n_latent)``.
        """
        return {MODULE_KEYS.LATENT: self.encoder(means, counts)}

    def _get_generative_input(
        self, tensors: dict[str, Tensor], inference_outputs: dict[str, Tensor], **kwargs: Any
    ) -> dict[str, Tensor]:
        return {"latent": inference_outputs[MODULE_KEYS.LATENT]}

    @auto_move_data
    def generative(self, latent: Tensor) -> dict[str, dict[str, Tensor]]:
        """Window that the decoder expects: ``{"reconstruction": {modality: (n_spots, n_rings, n_features)}}``."""
        return {MODULE_KEYS.RECONSTRUCTION: self.decoder(latent)}

    @auto_move_data
    def reconstruct(self, latent: Tensor, modality: str) -> Tensor:
        """Features of the spot itself that the decoder expects. ``(n_spots, n_features)``."""
        return self.decoder(latent)[modality][:, 0]

    def loss(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, dict[str, Tensor]],
    ) -> LossOutput:
        """Weighted sum of the losses of all modalities.

        Parameters
        ----------
        tensors
            A batch of the loader.
        inference_outputs, generative_outputs
            What :meth:`inference` and :meth:`generative` return.

        Returns
        -------
        The loss, the reconstruction loss of each spot, and each term (unweighted) under its name.
        """
        latent = inference_outputs[MODULE_KEYS.LATENT].float()
        slices = tensors[BATCH_KEYS.SLICE][:, 0]
        total, errors, terms = latent.new_zeros(()), latent.new_zeros(len(latent)), {}
        for stream, name in enumerate(self.names):
            weight = self.modality_weights[name]
            if weight == 0:
                continue
            target, counts = (
                tensors[modality_key(name, key)].float() for key in (BATCH_KEYS.WINDOWS, BATCH_KEYS.COUNTS)
            )
            error = nn.window_reconstruction_loss(
                target, generative_outputs[MODULE_KEYS.RECONSTRUCTION][name].float(), counts
            )
            # Windows without the modality have no error, and no say in the mean either.
            n_windows = (counts.sum(1) > 0).sum().clamp(min=1)
            terms[f"{name}_reconstruction"] = error.sum() / n_windows
            total = total + weight * self.reconstruction_weight * terms[f"{name}_reconstruction"]
            errors = errors + weight * error.detach()
            if self.triplet_weight > 0 and modality_key(name, BATCH_KEYS.CLUSTERS) in tensors:
                clusters = tensors[modality_key(name, BATCH_KEYS.CLUSTERS)]
                triplets = nn.mine_triplets(
                    clusters,
                    slices,
                    self.n_clusters,
                    self._generator(stream, latent.device),
                    across=self.cross_sample_positives,
                )
                distances = tensors[modality_key(name, BATCH_KEYS.CLUSTER_DISTANCES)]
                margins = self.margin * distances[clusters[triplets.anchors], clusters[triplets.negatives]]
                terms[f"{name}_triplet"] = nn.triplet_margin_loss(latent, triplets, margins)
                total = total + weight * self.triplet_weight * terms[f"{name}_triplet"]
        if self.training:
            self._n_steps += 1
        return LossOutput(
            loss=total,
            reconstruction_loss=errors,
            n_obs_minibatch=len(errors),
            extra_metrics={f"{name}_loss": value.detach() for name, value in terms.items()},
        )

    def sample(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: the model is deterministic and has no distribution to draw from."""
        raise NotImplementedError("AESTETIK is not a generative model; use `get_reconstruction` for expected features.")

    def _generator(self, stream: int, device: torch.device) -> torch.Generator:
        # Keyed rather than consumed: a step draws the same triplets whatever was drawn before it.
        step = self._n_steps if self.training else -1
        return torch.Generator(device).manual_seed(((self.seed * 1_000_003 + step) * 16 + stream) % 2**63)
