"""Data sets to learn, demonstrate and test with; none of them needs a download."""

from spotscape.datasets._synthetic import synthetic_tissue

__all__ = ["synthetic_tissue"]
