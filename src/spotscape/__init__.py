"""Models of spatial transcriptomics that represent each spot by its neighbourhood and the whole tissue."""

from importlib.metadata import version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("spotscape")
