"""What the window autoencoders of AESTETIK share: the loss, which adds triplets over the clusters of each modality."""

from collections.abc import Mapping, Sequence
from typing import Any

from scvi.module.base import LossOutput
from torch import Tensor

from spotscape import nn
from spotscape._constants import BATCH_KEYS, MODULE_KEYS
from spotscape.module._base import SeededModule


class TripletModule(SeededModule):
    """Base class of the window autoencoders. A subclass implements the networks and :meth:`_window_errors`.

    Parameters
    ----------
    names
        Names of the modalities.
    n_clusters, modality_weights, cross_sample_positives, reconstruction_weight, triplet_weight, margin, seed
        As in :class:`~spotscape.module.AestetikModule`.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        n_clusters: int,
        modality_weights: Mapping[str, float],
        cross_sample_positives: bool,
        reconstruction_weight: float,
        triplet_weight: float,
        margin: float,
        seed: int,
    ):
        super().__init__(seed)
        self.names = tuple(names)
        self.n_clusters = n_clusters
        self.modality_weights = dict(modality_weights)
        self.cross_sample_positives = cross_sample_positives
        self.reconstruction_weight = reconstruction_weight
        self.triplet_weight = triplet_weight
        self.margin = margin

    def _get_inference_input(self, tensors: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {"means": tensors[BATCH_KEYS.WINDOWS], "counts": tensors[BATCH_KEYS.COUNTS]}

    def _get_generative_input(
        self, tensors: dict[str, Tensor], inference_outputs: dict[str, Tensor], **kwargs: Any
    ) -> dict[str, Tensor]:
        return {"latent": inference_outputs[MODULE_KEYS.LATENT]}

    def loss(
        self,
        tensors: dict[str, Any],
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, dict[str, Tensor]],
    ) -> LossOutput:
        """Compute the weighted sum of the losses of all modalities.

        Parameters
        ----------
        tensors
            Batch of the data loader.
        inference_outputs, generative_outputs
            Outputs of :meth:`inference` and :meth:`generative`.

        Returns
        -------
        The loss, the reconstruction loss of each spot, and each unweighted term by name.
        """
        latent = inference_outputs[MODULE_KEYS.LATENT].float()
        slices = tensors[BATCH_KEYS.SLICE][:, 0]
        total, errors, terms = latent.new_zeros(()), latent.new_zeros(len(latent)), {}
        for stream, name in enumerate(self.names):
            weight = self.modality_weights[name]
            if weight == 0:
                continue
            target, counts = (tensors[key][name].float() for key in (BATCH_KEYS.WINDOWS, BATCH_KEYS.COUNTS))
            reconstruction = generative_outputs[MODULE_KEYS.RECONSTRUCTION][name].float()
            error = self._window_errors(target, reconstruction, counts)
            # Windows without the modality have an error of zero and must not lower the mean.
            n_windows = (counts.sum(1) > 0).sum().clamp(min=1)
            terms[f"{name}_reconstruction"] = error.sum() / n_windows
            total = total + weight * self.reconstruction_weight * terms[f"{name}_reconstruction"]
            errors = errors + weight * error.detach()
            clusters = tensors[BATCH_KEYS.CLUSTERS].get(name)
            if self.triplet_weight > 0 and clusters is not None:
                triplets = nn.mine_triplets(
                    clusters,
                    slices,
                    self.n_clusters,
                    self._generator(stream, latent.device),
                    across=self.cross_sample_positives,
                )
                distances = tensors[BATCH_KEYS.CLUSTER_DISTANCES][name]
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

    def _window_errors(self, target: Tensor, reconstruction: Tensor, counts: Tensor) -> Tensor:
        """Reconstruction error of each window, zero for windows without spots. ``(n_spots,)``."""
        raise NotImplementedError

    def sample(self, *args: Any, **kwargs: Any) -> None:
        """Raise an error: the model is deterministic and has no distribution to sample from."""
        raise NotImplementedError("AESTETIK is not a generative model; use `get_reconstruction` for expected features.")
