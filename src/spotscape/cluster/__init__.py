"""Clustering of a representation: k-means, and a Gaussian mixture with one shared covariance."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
