"""From counts to the features that a model reads, and back to genes."""

from spotscape._defaults import default_n_components, default_scale_power
from spotscape.preprocessing._calibration import apply_count_calibration, fit_count_calibration
from spotscape.preprocessing._gene_selection import select_genes
from spotscape.preprocessing._pipeline import Expression, FeaturePipeline, Features
from spotscape.preprocessing._preprocessor import Preprocessor
from spotscape.preprocessing._scaling import FeatureScaler
from spotscape.preprocessing._values import recognise_values
from spotscape.preprocessing.correction import Centring, ComBat, Correction, Harmony, NoCorrection

__all__ = [
    "Centring",
    "ComBat",
    "Correction",
    "Expression",
    "FeaturePipeline",
    "FeatureScaler",
    "Features",
    "Harmony",
    "NoCorrection",
    "Preprocessor",
    "apply_count_calibration",
    "default_n_components",
    "default_scale_power",
    "fit_count_calibration",
    "recognise_values",
    "select_genes",
]
