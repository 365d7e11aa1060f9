"""A slice with its image and the positions of its spots in it."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotscape._images import as_rgb
from spotscape.pp.image._tiles import cut_tiles, image_size, read_image, resize_tiles
from spotscape.preprocessing._subsample import evenly_spaced_rows


@dataclass(frozen=True)
class Slide:
    """A slice, its image, and the positions of its spots in the image. Pixels are read on demand."""

    name: str
    """Name of the slice; empty without a slice key."""
    spots: NDArray[np.intp]
    """Rows of the spots that lie on the image. ``(n_spots,)``."""
    image: Path | NDArray[Any] | None
    """File, colours ``(height, width, 3)``, patches of the spots ``(n_spots, n, n, 3)``, or ``None``."""
    origin: str
    """Where the image comes from, for the record in ``uns``."""
    centres: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    """Positions x, y of the spots in pixels of the image; empty for patches. ``(n_spots, 2)``."""
    tile_width: float = np.nan
    """Side of a tile in pixels of the image; NaN for patches."""
    scale_factor: float = np.nan
    """Pixels of the image per pixel of the full-resolution image; NaN for patches."""

    @property
    def has_patches(self) -> bool:
        """Whether the tiles are stored patches."""
        return np.ndim(self.image) == 4  # type: ignore[arg-type]

    def image_size(self) -> tuple[int, int]:
        """Height and width of the image."""
        if isinstance(self.image, Path):
            return image_size(self.image)
        shape = np.shape(self.image)  # type: ignore[arg-type]
        if len(shape) != 3:
            raise ValueError(f"The image of slice {self.name!r} has shape {shape}; pass (height, width, 3).")
        return shape[0], shape[1]

    def digest(self) -> str:
        """SHA-256 of the image and of the positions of the spots in it."""
        sha = sha256()
        if isinstance(self.image, Path):
            with self.image.open("rb") as file:
                while block := file.read(2**20):
                    sha.update(block)
        else:
            pixels = np.ascontiguousarray(self.image)
            sha.update(repr((pixels.shape, pixels.dtype.str)).encode())
            sha.update(pixels.data)
        sha.update(np.ascontiguousarray(self.centres).tobytes())
        sha.update(repr(self.tile_width).encode())
        return sha.hexdigest()

    def pixels(self) -> NDArray[np.uint8]:
        """RGB colours of the image, or of the patches."""
        if isinstance(self.image, Path):
            return read_image(self.image)
        return as_rgb(self.image, f"The image of slice {self.name!r}" if self.name else "The image")

    def tiles(
        self, pixels: NDArray[np.uint8], spots: NDArray[np.intp] | slice, scale: float, n_pixels: int
    ) -> NDArray[np.uint8]:
        """Tiles around some of the spots, of ``scale`` tile widths. ``(n_tiles, n_pixels, n_pixels, 3)``."""
        if self.has_patches:
            return resize_tiles(pixels[spots], n_pixels)
        return cut_tiles(pixels, self.centres[spots], scale * self.tile_width, n_pixels)


def evenly_chosen_spots(spot_names: NDArray[Any], max_spots: int) -> NDArray[np.intp]:
    """Choose at most ``max_spots`` spots at even steps of their sorted names, so independently of their order."""
    order = np.argsort(spot_names, kind="stable")
    return order[evenly_spaced_rows(len(order), max_spots)]
