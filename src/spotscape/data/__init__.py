"""Data for training: fields of the AnnDataManager, checks of the setup, data sets and loaders."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
