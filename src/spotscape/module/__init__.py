"""One module a model: the wiring between batches, networks and losses. Knows no AnnData."""

from spotscape.module._spotscape import SpotscapeModule

__all__ = ["SpotscapeModule"]
