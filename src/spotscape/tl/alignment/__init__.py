"""Alignment of slices: registration, couplings of spots, transformations."""

from spotscape.tl.alignment._align import align

__all__ = ["align"]
