"""A small network that learns what tiles look like from the user's own tiles, without labels."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn
from tqdm.auto import tqdm

#: Counted up with every change of the numbers, so that caches of other versions are not read.
NETWORK_VERSION = 1
N_FEATURES = 128
#: Tiles that the network learns from, at most.
N_TILES = 8192

_CHANNELS = (3, 32, 64, 128, N_FEATURES)
_N_STEPS = 300
_BATCH_SIZE = 64
_MIN_TILES = 32
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 1e-4


class TileEncoder(nn.Module):
    """Four convolutions of stride 2 and the mean over the tile: from colours to 128 features."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip(_CHANNELS, _CHANNELS[1:], strict=False):
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """From ``(n_tiles, 3, n_pixels, n_pixels)``, from 0 to 1, to ``(n_tiles, 128)``."""
        return self.layers((tiles - 0.5) / 0.25).mean(dim=(2, 3))


def train_encoder(tiles: NDArray[np.uint8], seed: int) -> TileEncoder:
    r"""Train an encoder so that two altered copies of a tile have like features (SimSiam, :cite:p:`Chen2021`).

    The loss of a tile with the projections :math:`z_1, z_2` of its two copies and the predictions
    :math:`p_j = h(z_j)` is

    .. math:: -\tfrac12 \cos(p_1, \operatorname{stop}(z_2)) - \tfrac12 \cos(p_2, \operatorname{stop}(z_1)),

    where no gradient passes :math:`\operatorname{stop}`. Copies are turned, mirrored, enlarged up to 1.6 times and
    stained more or less: what is left alike is the tissue. There are 300 steps of 64 tiles, whatever the data.

    Parameters
    ----------
    tiles
        Colours; their order plays a part. ``(n_tiles, n_pixels, n_pixels, 3)``.
    seed
        Seed of the weights, batches and copies. The global generator is left as it was.

    Returns
    -------
    The encoder, ready to encode.

    Raises
    ------
    ValueError
        If there are fewer than 32 tiles.
    """
    if len(tiles) < _MIN_TILES:
        raise ValueError(
            f"There are only {len(tiles)} tiles, and 'self-supervised' learns from at least {_MIN_TILES}; "
            "use 'handcrafted'."
        )
    device = default_device()
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = TileEncoder()
        projector = nn.Sequential(_block(N_FEATURES, 128), nn.Linear(128, 128), nn.BatchNorm1d(128, affine=False))
        predictor = nn.Sequential(_block(128, 32), nn.Linear(32, 128))
    whole = nn.ModuleList([encoder, projector, predictor]).to(device)
    optimizer = torch.optim.AdamW(whole.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _N_STEPS)
    waiting = torch.empty(0, dtype=torch.long)
    for _ in tqdm(range(_N_STEPS), desc="Learning from tiles", unit="step", leave=False, disable=None):
        while len(waiting) < min(_BATCH_SIZE, len(tiles)):
            waiting = torch.cat([waiting, torch.randperm(len(tiles), generator=generator)])
        chosen, waiting = waiting[:_BATCH_SIZE], waiting[_BATCH_SIZE:]
        batch = _as_tensor(tiles[chosen.numpy()])
        copies = torch.cat([_altered(batch, generator), _altered(batch, generator)]).to(device)
        # Both copies pass as one batch through the layers that normalise it, as halves of the same distribution.
        projections = projector(encoder(copies))
        first, second = predictor(projections).chunk(2)
        goal_second, goal_first = projections.detach().chunk(2)
        loss = -(F.cosine_similarity(first, goal_first) + F.cosine_similarity(second, goal_second)).mean() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return encoder.eval()


@torch.inference_mode()
def encode(encoder: TileEncoder, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features of tiles. ``(n_tiles, 128)``."""
    return encoder(_as_tensor(tiles).to(default_device())).cpu().numpy()


def default_device() -> torch.device:
    """A CUDA device where there is one, otherwise the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _as_tensor(tiles: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).float() / 255


def _block(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU())


def _altered(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Copies at any angle, mirrored or not, enlarged, and with stains of another strength."""
    n_tiles = len(batch)
    angle, size, mirrored = torch.rand(3, n_tiles, generator=generator)
    angle, size = 2 * torch.pi * angle, 0.6 + 0.4 * size
    flip = torch.where(mirrored < 0.5, -1.0, 1.0)
    zero = torch.zeros(n_tiles)
    turn = torch.stack(
        [
            torch.stack([size * flip * angle.cos(), -size * angle.sin(), zero], dim=1),
            torch.stack([size * flip * angle.sin(), size * angle.cos(), zero], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(turn, list(batch.shape), align_corners=False)
    turned = F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    # More stain is a multiple of the optical density, which is a power of the colour.
    strength = torch.exp(0.2 * torch.randn(n_tiles, 3, 1, 1, generator=generator))
    light = torch.exp(0.05 * torch.randn(n_tiles, 3, 1, 1, generator=generator))
    return (turned.clamp(min=1 / 255) ** strength * light).clamp(0, 1)
