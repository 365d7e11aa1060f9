"""Simulated data sets with known ground truth; none needs a download."""

from spotscape.datasets._synthetic import synthetic_tissue
from spotscape.datasets._two_modalities import synthetic_modalities

__all__ = ["synthetic_modalities", "synthetic_tissue"]
