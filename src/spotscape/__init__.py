"""Representations of spatially resolved transcriptomics that know each spot's neighbourhood and the whole tissue."""

from importlib.metadata import version

from spotscape import data, datasets, io, metrics, module, nn, pl, pp, tl, train
from spotscape.model import AESTETIK, SEDR, SPOTSCAPE

__all__ = [
    "AESTETIK",
    "SEDR",
    "SPOTSCAPE",
    "data",
    "datasets",
    "io",
    "metrics",
    "module",
    "nn",
    "pl",
    "pp",
    "tl",
    "train",
]
__version__ = version("spotscape")
