"""Partitions of a representation, which the models find as well."""

from spotscape._partitions import (
    N_COMPONENTS_MIXTURE,
    N_SPOTS_STARTS,
    RIDGE,
    Partition,
    kmeans_partition,
    mixture_partition,
)

__all__ = [
    "N_COMPONENTS_MIXTURE",
    "N_SPOTS_STARTS",
    "RIDGE",
    "Partition",
    "kmeans_partition",
    "mixture_partition",
]
