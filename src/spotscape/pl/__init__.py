"""Figures, in the style of ``scanpy.pl``."""

from spotscape.pl._alignment import alignment
from spotscape.pl._domains import domains
from spotscape.pl._embedding import embedding
from spotscape.pl._history import history
from spotscape.pl._integration import integration
from spotscape.pl._n_domains import n_domains
from spotscape.pl._similarity import similarity
from spotscape.pl._tiles import tiles

__all__ = ["alignment", "domains", "embedding", "history", "integration", "n_domains", "similarity", "tiles"]
