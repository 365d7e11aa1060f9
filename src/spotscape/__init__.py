"""Representations of spatially resolved transcriptomics that know each spot's neighbourhood and the whole tissue."""

from importlib.metadata import version

from spotscape import cluster, data, datasets, graph, io, metrics, module, nn, novelty, pl, pp, preprocessing, tl, train
from spotscape.model import AESTETIK, SEDR, SPOTSCAPE

__all__ = [
    "AESTETIK",
    "SEDR",
    "SPOTSCAPE",
    "cluster",
    "data",
    "datasets",
    "graph",
    "io",
    "metrics",
    "module",
    "nn",
    "novelty",
    "pl",
    "pp",
    "preprocessing",
    "tl",
    "train",
]
__version__ = version("spotscape")
