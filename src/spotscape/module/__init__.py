"""PyTorch modules of the models, one for each: networks and losses. They do not depend on AnnData."""

from spotscape.module._aestetik import AestetikModule
from spotscape.module._sedr import SEDRModule
from spotscape.module._spotscape import SpotscapeModule

__all__ = ["AestetikModule", "SEDRModule", "SpotscapeModule"]
