"""PyTorch modules of the models, one for each: networks and losses. They do not depend on AnnData."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
