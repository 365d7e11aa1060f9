"""Partitions of a representation: k-means with many starts, and a mixture with one shared covariance."""

from spotscape.cluster._mixture import SharedCovarianceMixture
from spotscape.cluster._partitions import Partition, fit_shared_mixture, kmeans_partition, mixture_partition

__all__ = ["Partition", "SharedCovarianceMixture", "fit_shared_mixture", "kmeans_partition", "mixture_partition"]
