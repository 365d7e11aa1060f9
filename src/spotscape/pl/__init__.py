"""Pictures, in the manner of ``scanpy.pl``."""

from spotscape.pl._domains import domains
from spotscape.pl._embedding import embedding
from spotscape.pl._history import history
from spotscape.pl._similarity import similarity

__all__ = ["domains", "embedding", "history", "similarity"]
