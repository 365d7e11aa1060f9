"""How far spots lie from those that a model was trained on."""

from spotscape.novelty._distances import distances_between_pieces, novelty

__all__ = ["distances_between_pieces", "novelty"]
