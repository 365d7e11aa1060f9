"""Convolutional autoencoder of square windows, in one or two modalities, with the median of several members."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, interpolate, max_pool2d

from spotscape._distributed import n_processes
from spotscape.nn._batch_norm import SeedBatchNorm
from spotscape.nn._masking import drop_out

_KERNEL = 3
#: Number of dropout masks whose representations are in memory at a time.
_MASKS_AT_A_TIME = 20


class ConvolutionSizes(NamedTuple):
    """Widths of the maps of a window, as :func:`convolution_sizes` returns them.

    Attributes
    ----------
    kernel
        Width of the kernels of the convolution and of the pooling.
    convolved
        Width of the map after the convolution.
    pooled
        Width of the map after the pooling.

    Examples
    --------
    >>> from spotscape import nn
    >>> nn.ConvolutionSizes(kernel=3, convolved=5, pooled=1).pooled
    1
    """

    kernel: int
    convolved: int
    pooled: int


def convolution_sizes(width: int) -> ConvolutionSizes:
    r"""Widths of the maps of a window of :math:`W \times W` sites.

    .. math:: k = \min(3, \max(1, W - 1)), \qquad c_1 = W - k + 1, \qquad c_2 = \lfloor (c_1 - k) / 3 \rfloor + 1

    Parameters
    ----------
    width
        :math:`W`, an odd number.

    Returns
    -------
    The widths :math:`k`, :math:`c_1` and :math:`c_2`.

    Examples
    --------
    >>> from spotscape import nn
    >>> nn.convolution_sizes(7)
    ConvolutionSizes(kernel=3, convolved=5, pooled=1)
    """
    kernel = min(_KERNEL, max(1, width - 1))
    convolved = width - kernel + 1
    return ConvolutionSizes(kernel, convolved, (convolved - kernel) // _KERNEL + 1)


class ConvolutionEncoder(nn.Module):
    r"""Convolutional encoder of square windows; the median of several members :cite:p:`Nonchev2024`.

    Member :math:`j` encodes the window :math:`x_i`, whose channels are the features of all modalities, as

    .. math:: z_{ij} = B_j \operatorname{vec} \operatorname{maxpool}\bigl(\operatorname{relu}(d_{ij} \odot
        \operatorname{norm}(K_j * x_i))\bigr) + b_j, \qquad z_i = \operatorname{median}_j z_{ij}

    with kernels :math:`K`, batch normalisation, and the dropout :math:`d` of whole channels. The median is that of each
    dimension, the lower one for an even number of members. The widths of the maps are those of
    :func:`convolution_sizes`.

    Parameters
    ----------
    n_features
        Number of features of each modality.
    width
        Number of sites along a side of the window, odd.
    n_members
        Number of members.
    n_hidden
        Number of kernels of each member.
    n_latent
        Number of latent dimensions.
    dropout_rate
        Probability that a channel is dropped.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> encoder = nn.ConvolutionEncoder({"rna": 3}, width=7, n_latent=2)
    >>> encoder({"rna": torch.ones(10, 49, 3)}).shape
    torch.Size([10, 2])
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        width: int,
        *,
        n_members: int = 3,
        n_hidden: int = 64,
        n_latent: int = 16,
        dropout_rate: float = 0.3,
    ):
        super().__init__()
        self.names = tuple(n_features)
        self.width, self.sizes = width, convolution_sizes(width)
        self.n_members, self.n_hidden = n_members, n_hidden
        self.dropout_rate = dropout_rate
        # The members read the same window, so that they are one convolution. The normalisation takes the place of its
        # intercept.
        self.convolution = nn.Conv2d(sum(n_features.values()), n_members * n_hidden, self.sizes.kernel, bias=False)
        self.norm = SeedBatchNorm(n_members * n_hidden)
        n_pooled = n_hidden * self.sizes.pooled**2
        self.weight = nn.Parameter(_uniform(n_members, n_pooled, n_latent, fan_in=n_pooled))
        self.bias = nn.Parameter(_uniform(n_members, n_latent, fan_in=n_pooled))

    def forward(self, windows: Mapping[str, Tensor], generator: torch.Generator | None = None) -> Tensor:
        """Encode.

        Parameters
        ----------
        windows
            Features of the sites of each window, row by row, for each modality. ``(n_spots, width ** 2, n_features)``.
        generator
            Random number generator of the dropout. ``None``: no dropout.

        Returns
        -------
        Latent representation. ``(n_spots, n_latent)``.
        """
        pooled = self._pooled(self._convolved(windows))
        # A channel may also be dropped after rectification and pooling, which commute with factors from 0.
        kept = drop_out(pooled.new_ones((*pooled.shape[:3], 1)), self.dropout_rate, generator)
        encoded = torch.einsum("bmf,mfl->bml", (pooled * kept).flatten(2), self.weight) + self.bias
        return member_median(encoded, dim=1)

    def mean_over_masks(self, windows: Mapping[str, Tensor], n_masks: int, generator: torch.Generator) -> Tensor:
        """Mean representation over random dropout masks, each of which is used for all spots.

        Parameters
        ----------
        windows
            As in :meth:`forward`.
        n_masks
            Number of masks.
        generator
            Random number generator of the masks.

        Returns
        -------
        Latent representation. ``(n_spots, n_latent)``.
        """
        pooled = self._pooled(self._convolved(windows)).flatten(2)
        total = pooled.new_zeros((len(pooled), self.weight.shape[2]))
        by_channel = self.weight.unflatten(1, (self.n_hidden, -1))
        for start in range(0, n_masks, _MASKS_AT_A_TIME):
            n = min(_MASKS_AT_A_TIME, n_masks - start)
            kept = drop_out(pooled.new_ones((n, self.n_members, self.n_hidden, 1, 1)), self.dropout_rate, generator)
            encoded = torch.einsum("bmf,nmfl->bnml", pooled, (kept * by_channel).flatten(2, 3)) + self.bias
            total += member_median(encoded, dim=2).sum(1)
        return total / n_masks

    @torch.no_grad()
    def fit_normalization(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Set the stored mean and variance of the batch normalisation to those of given windows.

        Parameters
        ----------
        batches
            Batches of windows, as in :meth:`forward`.
        """
        total, squares, n_values = 0.0, 0.0, 0
        for windows in batches:
            convolved = self.convolution(self._image(windows)).double()
            total = total + convolved.sum((0, 2, 3))
            squares = squares + convolved.square().sum((0, 2, 3))
            n_values += convolved[:, 0].numel()
        mean = torch.as_tensor(total / n_values)
        cast(Tensor, self.norm.running_mean).copy_(mean)
        cast(Tensor, self.norm.running_var).copy_((squares / n_values - mean.square()).clamp(min=0))

    def _image(self, windows: Mapping[str, Tensor]) -> Tensor:
        """Windows as images with a channel for each feature. ``(n_spots, n_all_features, width, width)``."""
        together = torch.cat([windows[name] for name in self.names], dim=2)
        return together.transpose(1, 2).unflatten(2, (self.width, self.width)).contiguous()

    def _convolved(self, windows: Mapping[str, Tensor]) -> Tensor:
        convolved = self.convolution(self._image(windows))
        return _normalized(self.norm, convolved.flatten(2)).view(convolved.shape)

    def _pooled(self, convolved: Tensor) -> Tensor:
        """Rectified and pooled maps. ``(n_spots, n_members, n_hidden, pooled ** 2)``."""
        pooled = max_pool2d(torch.relu(convolved), self.sizes.kernel, stride=_KERNEL)
        return pooled.flatten(2).unflatten(1, (self.n_members, self.n_hidden))


class ConvolutionDecoder(nn.Module):
    r"""Decoder from the latent representation to square windows; the median of several members.

    .. math:: \hat x_{ij} = \operatorname{sigmoid}\Bigl(\operatorname{norm}\bigl(K_j *^\top (d_{ij} \odot
        \operatorname{upsample}(\operatorname{relu}(B_j z_i + b_j)))\bigr)\Bigr), \qquad
        \hat x_i = \operatorname{median}_j \hat x_{ij}

    with a transposed convolution :math:`*^\top`, and the widths and the median of :class:`ConvolutionEncoder`. The maps
    are upsampled to the width of the convolved map by repeating the nearest value.

    Parameters
    ----------
    n_features, width, n_members, n_hidden, n_latent, dropout_rate
        As in :class:`ConvolutionEncoder`.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> decoder = nn.ConvolutionDecoder({"rna": 3, "image": 2}, width=7, n_latent=2)
    >>> {name: tuple(values.shape) for name, values in decoder(torch.ones(10, 2)).items()}
    {'rna': (10, 49, 3), 'image': (10, 49, 2)}
    """

    basis: Tensor

    def __init__(
        self,
        n_features: Mapping[str, int],
        width: int,
        *,
        n_members: int = 3,
        n_hidden: int = 64,
        n_latent: int = 16,
        dropout_rate: float = 0.3,
    ):
        super().__init__()
        self.n_features = dict(n_features)
        self.n_members, self.n_hidden = n_members, n_hidden
        self.dropout_rate = dropout_rate
        sizes, n_channels = convolution_sizes(width), sum(n_features.values())
        n_pooled = n_hidden * sizes.pooled**2
        self.weight = nn.Parameter(_uniform(n_members, n_latent, n_pooled, fan_in=n_latent))
        self.bias = nn.Parameter(_uniform(n_members, n_pooled, fan_in=n_latent))
        # PyTorch counts the output channels of a transposed convolution as its inputs.
        fan_in = n_channels * sizes.kernel**2
        shape = (n_hidden, n_members * n_channels, sizes.kernel, sizes.kernel)
        self.kernels = nn.Parameter(_uniform(*shape, fan_in=fan_in))
        self.norm = SeedBatchNorm(n_members * n_channels)
        # Upsampled maps of one value each. ``(n_pooled, n_hidden, convolved, convolved)``.
        ones = torch.eye(n_pooled).view(n_pooled, n_hidden, sizes.pooled, sizes.pooled)
        self.register_buffer("basis", interpolate(ones, size=sizes.convolved, mode="nearest"), persistent=False)

    def forward(self, latent: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Decode.

        Parameters
        ----------
        latent
            Latent representation. ``(n_spots, n_latent)``.
        generator
            Random number generator of the dropout. ``None``: no dropout.

        Returns
        -------
        Features of the sites of each window, row by row, for each modality. ``(n_spots, width ** 2, n_features)``.
        """
        hidden = torch.relu(torch.einsum("bl,mlf->bmf", latent, self.weight) + self.bias)
        kept = drop_out(hidden.new_ones((*hidden.shape[:2], self.n_hidden, 1)), self.dropout_rate, generator)
        hidden = (hidden.unflatten(2, (self.n_hidden, -1)) * kept).flatten(2)
        # Upsampling and convolution are one linear map, which is a small matrix.
        maps = conv_transpose2d(self.basis, self.kernels).flatten(2).unflatten(1, (self.n_members, -1))
        decoded = torch.einsum("bmf,fmcs->bmcs", hidden, maps)
        windows = torch.sigmoid(_normalized(self.norm, decoded.flatten(1, 2)).view(decoded.shape))
        median = member_median(windows, dim=1).transpose(1, 2)
        return dict(zip(self.n_features, median.split(list(self.n_features.values()), dim=2), strict=True))


def member_median(values: Tensor, dim: int) -> Tensor:
    """Median over the members, the lower one for an even number.

    Parameters
    ----------
    values
        Outputs of the members, of any shape.
    dim
        Dimension of the members, which the result lacks.

    Returns
    -------
    Medians.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> nn.member_median(torch.tensor([[1.0, 9.0], [3.0, 8.0], [2.0, 7.0]]), dim=0)
    tensor([2., 8.])
    """
    if values.shape[dim] != 3:
        return values.median(dim).values
    # Several times faster than sorting.
    first, second, third = values.unbind(dim)
    return torch.maximum(torch.minimum(first, second), torch.minimum(torch.maximum(first, second), third))


def _normalized(norm: SeedBatchNorm, values: Tensor) -> Tensor:
    """Batch normalisation of maps over spots and sites. ``(n_spots, n_channels, n_sites)``."""
    if n_processes() == 1 or not norm.training:
        return norm(values)
    # The statistics of several processes are those of rows.
    rows = norm(values.transpose(1, 2).flatten(0, 1))
    return rows.unflatten(0, (len(values), -1)).transpose(1, 2)


def _uniform(*shape: int, fan_in: int) -> Tensor:
    """Initial weights of PyTorch's linear and convolutional layers."""
    return torch.empty(shape).uniform_(-(fan_in**-0.5), fan_in**-0.5)
