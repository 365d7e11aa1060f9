"""Partitions of a representation."""

from spotscape.cluster._shared_mixture import SharedMixture

__all__ = ["SharedMixture"]
