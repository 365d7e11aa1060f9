"""Alignment of slices: transformations, registration of two slices, and coupling of their spots."""

from spotscape.tl.alignment._align import align

__all__ = ["align"]
