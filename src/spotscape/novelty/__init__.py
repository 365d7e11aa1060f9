"""How far spots are from those that a model was trained on."""

from spotscape.novelty._reference import NoveltyReference

__all__ = ["NoveltyReference"]
