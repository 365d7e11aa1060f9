"""A small network trained by self-supervision on the tiles of the data set."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from spotscape._bars import progress_bar

#: Increase this with every change of the features, so that caches of an older version are not read.
NETWORK_VERSION = 1
N_FEATURES = 128
#: Largest number of tiles that the network is trained on.
MAX_TRAINING_TILES = 8192

_CHANNELS = (3, 32, 64, 128, N_FEATURES)
_N_TRAINING_STEPS = 300
_BATCH_SIZE = 64
_MIN_TRAINING_TILES = 32
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 1e-4


class TileEncoder(nn.Module):
    """Four convolutions of stride 2 and average pooling: 128 features of a tile."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip(_CHANNELS, _CHANNELS[1:], strict=False):
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Encode tiles ``(n_tiles, 3, n_pixels, n_pixels)`` with values from 0 to 1 as ``(n_tiles, 128)``."""
        return self.layers((tiles - 0.5) / 0.25).mean(dim=(2, 3))


def train_encoder(tiles: NDArray[np.uint8], seed: int) -> TileEncoder:
    r"""Train an encoder to give two augmented views of a tile similar features (SimSiam, :cite:p:`Chen2021`).

    The loss of a tile with the projections :math:`z_1, z_2` of its two views and the predictions
    :math:`p_j = h(z_j)` is

    .. math:: -\tfrac12 \cos(p_1, \operatorname{stop}(z_2)) - \tfrac12 \cos(p_2, \operatorname{stop}(z_1)),

    where :math:`\operatorname{stop}` stops the gradient. Views are rotated, reflected, enlarged up to 1.7 times and
    vary in staining intensity, so the features become invariant to these. There are 300 steps of 64 tiles for any data.

    Parameters
    ----------
    tiles
        RGB colours; the result depends on their order. ``(n_tiles, n_pixels, n_pixels, 3)``.
    seed
        Seed of the weights, batches and augmentation. The state of the global generator is restored.

    Returns
    -------
    The trained encoder in evaluation mode.

    Raises
    ------
    ValueError
        If there are fewer than 32 tiles.
    """
    if len(tiles) < _MIN_TRAINING_TILES:
        raise ValueError(
            f"There are only {len(tiles)} tiles, and method='self-supervised' needs at least {_MIN_TRAINING_TILES}; "
            "use method='handcrafted'."
        )
    device = default_device()
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = TileEncoder()
        projector = nn.Sequential(
            _linear_block(N_FEATURES, 128), nn.Linear(128, 128), nn.BatchNorm1d(128, affine=False)
        )
        predictor = nn.Sequential(_linear_block(128, 32), nn.Linear(32, 128))
    networks = nn.ModuleList([encoder, projector, predictor]).to(device)
    optimizer = torch.optim.AdamW(networks.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _N_TRAINING_STEPS)
    queue = torch.empty(0, dtype=torch.long)
    for _ in progress_bar(range(_N_TRAINING_STEPS), desc="Training on tiles", unit="step", leave=False):
        while len(queue) < min(_BATCH_SIZE, len(tiles)):
            queue = torch.cat([queue, torch.randperm(len(tiles), generator=generator)])
        chosen, queue = queue[:_BATCH_SIZE], queue[_BATCH_SIZE:]
        batch = as_tensor(tiles[chosen.numpy()])
        views = torch.cat([_augmented(batch, generator), _augmented(batch, generator)]).to(device)
        # Both views are one batch for batch normalisation, because they have the same distribution.
        projections = projector(encoder(views))
        first, second = predictor(projections).chunk(2)
        target_second, target_first = projections.detach().chunk(2)
        loss = -(F.cosine_similarity(first, target_first) + F.cosine_similarity(second, target_second)).mean() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return encoder.eval()


@torch.inference_mode()
def encode(encoder: TileEncoder, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features of tiles. ``(n_tiles, 128)``."""
    return encoder(as_tensor(tiles).to(default_device())).cpu().numpy()


def default_device() -> torch.device:
    """The CUDA device if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def as_tensor(tiles: NDArray[np.uint8]) -> torch.Tensor:
    """Colours of tiles from 0 to 1. ``(n_tiles, 3, n_pixels, n_pixels)``."""
    return torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).float() / 255


def _linear_block(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU())


def _augmented(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Randomly rotated, reflected and enlarged tiles with random staining intensity and brightness."""
    n_tiles = len(batch)
    angle, size, reflection = torch.rand(3, n_tiles, generator=generator)
    angle, size = 2 * torch.pi * angle, 0.6 + 0.4 * size
    sign = torch.where(reflection < 0.5, -1.0, 1.0)
    zero = torch.zeros(n_tiles)
    transformation = torch.stack(
        [
            torch.stack([size * sign * angle.cos(), -size * angle.sin(), zero], dim=1),
            torch.stack([size * sign * angle.sin(), size * angle.cos(), zero], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(transformation, list(batch.shape), align_corners=False)
    transformed = F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    # Scaling the optical density by a factor raises the intensity to that power.
    staining = torch.exp(0.2 * torch.randn(n_tiles, 3, 1, 1, generator=generator))
    brightness = torch.exp(0.05 * torch.randn(n_tiles, 3, 1, 1, generator=generator))
    return (transformed.clamp(min=1 / 255) ** staining * brightness).clamp(0, 1)
