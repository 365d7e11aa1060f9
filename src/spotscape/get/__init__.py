"""Results as tidy data frames, in the style of ``scanpy.get``."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
