"""From counts to the features that a model reads, and back to genes."""

from spotscape._defaults import default_n_components, default_scale_power
from spotscape.preprocessing._agreement import explained_share, slice_mixing
from spotscape.preprocessing._calibration import apply_count_calibration, fit_count_calibration
from spotscape.preprocessing._gene_selection import select_genes
from spotscape.preprocessing._missing_genes import check_overlap
from spotscape.preprocessing._modality import CORRECTIONS, Modality, modality_presence
from spotscape.preprocessing._preprocessor import Preprocessor
from spotscape.preprocessing._row_blocks import read_rows
from spotscape.preprocessing._values import check_values, recognise_values
from spotscape.preprocessing.correction import (
    Centring,
    ComBat,
    Correction,
    Harmony,
    NoCorrection,
    correction_from_state,
    correction_named,
    correction_state,
    default_n_clusters,
    run_harmony,
)

__all__ = [
    "CORRECTIONS",
    "Centring",
    "ComBat",
    "Correction",
    "Harmony",
    "Modality",
    "NoCorrection",
    "Preprocessor",
    "apply_count_calibration",
    "check_overlap",
    "check_values",
    "correction_from_state",
    "correction_named",
    "correction_state",
    "default_n_clusters",
    "default_n_components",
    "default_scale_power",
    "explained_share",
    "fit_count_calibration",
    "modality_presence",
    "read_rows",
    "recognise_values",
    "run_harmony",
    "select_genes",
    "slice_mixing",
]
