"""Features of the tissue image around each spot."""

from spotscape.pp.image._features import image_features

__all__ = ["image_features"]
