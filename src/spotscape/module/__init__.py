"""One module a model: the wiring between batches, networks and losses. Knows no AnnData."""

from spotscape.module._aestetik import AestetikModule
from spotscape.module._sedr import SEDRModule
from spotscape.module._spotscape import SpotscapeModule

__all__ = ["AestetikModule", "SEDRModule", "SpotscapeModule"]
