"""Analyses of a representation, in the style of ``scanpy.tl``."""

from spotscape.tl._choose_n_domains import choose_n_domains
from spotscape.tl._domains import domains
from spotscape.tl._harmony import harmony
from spotscape.tl._transfer_labels import transfer_labels
from spotscape.tl.alignment import align

__all__ = ["align", "choose_n_domains", "domains", "harmony", "transfer_labels"]
