"""Representations of spatially resolved transcriptomics that know each spot's neighbourhood and the whole tissue."""
