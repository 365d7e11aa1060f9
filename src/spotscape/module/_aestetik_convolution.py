"""The published window autoencoder of AESTETIK: convolutions of square windows, several members, dropout."""

from collections.abc import Iterable, Mapping

import torch
from scvi.module.base import auto_move_data
from torch import Tensor

from spotscape import nn
from spotscape._constants import MODULE_KEYS
from spotscape.module._triplets import TripletModule

# Streams 0 and 1 draw the triplets of the modalities.
_ENCODER_DROPOUT, _DECODER_DROPOUT = 2, 3


class AestetikConvolutionModule(TripletModule):
    r"""Convolutional autoencoder of square windows, trained with a triplet loss as published :cite:p:`Nonchev2024`.

    The loss is that of :class:`AestetikModule` with the networks :class:`~spotscape.nn.ConvolutionEncoder` and
    :class:`~spotscape.nn.ConvolutionDecoder`, and with the reconstruction error

    .. math:: L_\text{rec}^{(m)} = \frac{1}{n W^2 D_m} \sum_i |x_i^{(m)} - \hat x_i^{(m)}|_1

    over all :math:`W^2` sites of the windows, also those that were filled in. Windows in which no spot has the modality
    do not contribute. The margin of a triplet is the same for all pairs of clusters.

    Parameters
    ----------
    n_features
        Number of features of each modality.
    width
        Number of sites along a side of the window, odd.
    n_clusters, modality_weights, cross_sample_positives, reconstruction_weight, triplet_weight
        As in :class:`AestetikModule`.
    n_members
        Number of encoders, and of decoders, whose median is taken.
    n_hidden, n_latent
        Number of kernels of each member, and of latent dimensions.
    dropout_rate
        Probability that a channel is dropped in training.
    n_dropout_passes
        Number of dropout masks over which the latent representation is averaged after training. The masks are the same
        for all spots and always the same, so a representation does not depend on other spots. 0: no dropout.
    margin
        Margin of a triplet in the unit of the latent space.
    seed
        Seed of the initial parameters, the triplets and the dropout. Those of a training step depend only on the seed
        and on the number of the step.

    Examples
    --------
    Ten spots with 20 features, in windows of 7 x 7 sites:

    >>> import torch
    >>> from spotscape.module import AestetikConvolutionModule
    >>> module = AestetikConvolutionModule({"rna": 20}, width=7, n_clusters=5, modality_weights={"rna": 1.0}).eval()
    >>> outputs = module.inference(means={"rna": torch.ones(10, 49, 20)}, counts={"rna": torch.ones(10, 49)})
    >>> outputs["z"].shape
    torch.Size([10, 16])
    >>> module.reconstruct(outputs["z"], "rna").shape
    torch.Size([10, 20])
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        width: int,
        *,
        n_clusters: int,
        modality_weights: Mapping[str, float],
        cross_sample_positives: bool = False,
        n_members: int = 3,
        n_hidden: int = 64,
        n_latent: int = 16,
        dropout_rate: float = 0.3,
        n_dropout_passes: int = 0,
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
        self.n_dropout_passes = n_dropout_passes
        self.centre = width**2 // 2
        sizes = {"n_members": n_members, "n_hidden": n_hidden, "n_latent": n_latent}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encoder = nn.ConvolutionEncoder(n_features, width, dropout_rate=dropout_rate, **sizes)
            self.decoder = nn.ConvolutionDecoder(n_features, width, dropout_rate=dropout_rate, **sizes)

    @auto_move_data
    def inference(self, means: dict[str, Tensor], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compute the latent representation, with dropout in training.

        Parameters
        ----------
        means
            Features of the sites of each window, for each modality. ``(n_spots, width ** 2, n_features)``.
        counts
            Whether each site has a spot; the sites without one are filled in ``means`` already.

        Returns
        -------
        ``{"z": latent}``, ``(n_spots, n_latent)``.
        """
        generator = self._generator(_ENCODER_DROPOUT, means[self.names[0]].device)
        if not self.training and self.n_dropout_passes:
            return {MODULE_KEYS.LATENT: self.encoder.mean_over_masks(means, self.n_dropout_passes, generator)}
        return {MODULE_KEYS.LATENT: self.encoder(means, generator if self.training else None)}

    @auto_move_data
    def generative(self, latent: Tensor) -> dict[str, dict[str, Tensor]]:
        """Reconstruct the windows, with dropout in training.

        Parameters
        ----------
        latent
            Latent representation. ``(n_spots, n_latent)``.

        Returns
        -------
        ``{"reconstruction": {modality: features}}``, each ``(n_spots, width ** 2, n_features)``.
        """
        generator = self._generator(_DECODER_DROPOUT, latent.device) if self.training else None
        return {MODULE_KEYS.RECONSTRUCTION: self.decoder(latent, generator)}

    @auto_move_data
    def reconstruct(self, latent: Tensor, modality: str) -> Tensor:
        """Reconstruct the features of the spots themselves, the middle of their windows.

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
        return self.decoder(latent)[modality][:, self.centre]

    @torch.no_grad()
    def after_training(self, windows: Iterable[dict[str, Tensor]]) -> None:
        """Take the batch normalisation of the encoder from all training spots if dropout is averaged over.

        The released code encodes in training mode, where the statistics are those of the encoded spots. With the
        stored statistics of all training spots, the result is the same for them, and that of other spots does not
        depend on which are encoded together.

        Parameters
        ----------
        windows
            Windows of the training spots, in batches.
        """
        if self.n_dropout_passes:
            device = self.encoder.weight.device
            self.encoder.fit_normalization(
                {name: values.to(device) for name, values in batch.items()} for batch in windows
            )

    def _window_errors(self, target: Tensor, reconstruction: Tensor, counts: Tensor) -> Tensor:
        return (target - reconstruction).abs().mean((1, 2)) * (counts.sum(1) > 0)
