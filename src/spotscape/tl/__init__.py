"""Answers drawn from a representation, in the manner of ``scanpy.tl``."""

from spotscape.tl._domains import domains

__all__ = ["domains"]
