"""Analyses of a representation, in the style of ``scanpy.tl``."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
