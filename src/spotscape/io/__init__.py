"""Readers of tissue sections from files."""

from spotscape.io._read_sections import read_sections

__all__ = ["read_sections"]
