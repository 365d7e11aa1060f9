"""The window autoencoder of AESTETIK, trained with triplets over the clusters of each modality."""

from collections.abc import Mapping, Sequence

import torch
from scvi.module.base import auto_move_data
from torch import Tensor

from spotscape import nn
from spotscape._constants import MODULE_KEYS
from spotscape.module._triplets import TripletModule


class AestetikModule(TripletModule):
    r"""Window autoencoder trained with a triplet loss :cite:p:`Nonchev2024`.

    The modalities :math:`m` are expression and image features, with weights :math:`w_m` that sum to 1. The loss is

    .. math::

        L = \sum_m w_m \left( w_\text{reconstruction} L_\text{rec}^{(m)} + w_\text{triplet} L_\text{tri}^{(m)} \right)

    with the terms :func:`~spotscape.nn.window_reconstruction_loss` and :func:`~spotscape.nn.triplet_margin_loss`. The
    triplets of each modality are drawn over the clusters of that modality. Spots without a modality do not contribute
    to its terms.

    Parameters
    ----------
    n_features
        Number of features of each modality.
    ring_weights
        Weight of one spot of each ring in the average of a window; the first ring is the spot itself.
    n_clusters
        Number of clusters of each modality.
    modality_weights
        Weight :math:`w_m` of each modality.
    cross_sample_positives
        Whether triplets connect slices, see ``across`` in :func:`~spotscape.nn.mine_triplets`.
    n_hidden, n_latent
        Number of hidden units of the decoder and of latent dimensions.
    reconstruction_weight, triplet_weight
        Weights of the two terms of the loss.
    margin
        Margin of a triplet, as a fraction of the distance between the centres of its two clusters.
    seed
        Seed of the initial parameters and of the triplets. The triplets of a training step depend only on the seed and
        on the number of the step.

    Examples
    --------
    Ten spots with 20 features, in windows of three rings:

    >>> import torch
    >>> from spotscape.module import AestetikModule
    >>> module = AestetikModule({"rna": 20}, (1.0, 0.5, 0.25), n_clusters=5, modality_weights={"rna": 1.0}, n_latent=8)
    >>> outputs = module.inference(means={"rna": torch.ones(10, 3, 20)}, counts={"rna": torch.ones(10, 3)})
    >>> outputs["z"].shape
    torch.Size([10, 8])
    >>> module.reconstruct(outputs["z"], "rna").shape
    torch.Size([10, 20])
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
        super().__init__(
            tuple(n_features),
            n_clusters=n_clusters,
            modality_weights=modality_weights,
            cross_sample_positives=cross_sample_positives,
            reconstruction_weight=reconstruction_weight,
            triplet_weight=triplet_weight,
            margin=margin,
            seed=seed,
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encoder = nn.WindowEncoder(n_features, ring_weights, modality_weights, n_latent=n_latent)
            self.decoder = nn.WindowDecoder(
                n_features, len(ring_weights), modality_weights, n_hidden=n_hidden, n_latent=n_latent
            )

    def set_axes(self, axes: Tensor, scale: float) -> None:
        """Initialise encoder and decoder with given axes, see :meth:`spotscape.nn.WindowEncoder.set_axes`."""
        self.encoder.set_axes(axes, scale)
        self.decoder.set_axes(axes, scale)

    @auto_move_data
    def inference(self, means: dict[str, Tensor], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compute the latent representation, which is deterministic.

        Parameters
        ----------
        means
            Mean features of each ring, for each modality. ``(n_spots, n_rings, n_features)``.
        counts
            Number of spots with the modality in each ring, for each modality. ``(n_spots, n_rings)``.

        Returns
        -------
        ``{"z": latent}``, ``(n_spots, n_latent)``.
        """
        return {MODULE_KEYS.LATENT: self.encoder(means, counts)}

    @auto_move_data
    def generative(self, latent: Tensor) -> dict[str, dict[str, Tensor]]:
        """Reconstruct the windows.

        Parameters
        ----------
        latent
            Latent representation. ``(n_spots, n_latent)``.

        Returns
        -------
        ``{"reconstruction": {modality: features}}``, each ``(n_spots, n_rings, n_features)``.
        """
        return {MODULE_KEYS.RECONSTRUCTION: self.decoder(latent)}

    @auto_move_data
    def reconstruct(self, latent: Tensor, modality: str) -> Tensor:
        """Reconstruct the features of the spots themselves, without the rings around them.

        Parameters
        ----------
        latent
            Latent representation. ``(n_spots, n_latent)``.
        modality
            Name of the modality.

        Returns
        -------
        Features. ``(n_spots, n_features)``.
        """
        return self.decoder(latent)[modality][:, 0]

    def _window_errors(self, target: Tensor, reconstruction: Tensor, counts: Tensor) -> Tensor:
        """Reconstruction error of each window, zero for windows without spots. ``(n_spots,)``."""
        return nn.window_reconstruction_loss(target, reconstruction, counts)
