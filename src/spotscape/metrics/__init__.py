"""Evaluation metrics on arrays."""

from spotscape.metrics._adjusted_rand_index import adjusted_rand_index
from spotscape.metrics._boundary_accuracy import BoundaryAccuracy, boundary_accuracy
from spotscape.metrics._clustering_accuracy import clustering_accuracy
from spotscape.metrics._clustering_scores import (
    adjusted_mutual_information,
    completeness,
    homogeneity,
    purity,
    silhouette,
    v_measure,
)
from spotscape.metrics._integration import IntegrationScores, integration_scores
from spotscape.metrics._label_transfer import label_transfer_adjusted_rand_index
from spotscape.metrics._normalized_mutual_information import normalized_mutual_information
from spotscape.metrics._scores import scores

__all__ = [
    "BoundaryAccuracy",
    "IntegrationScores",
    "adjusted_mutual_information",
    "adjusted_rand_index",
    "boundary_accuracy",
    "clustering_accuracy",
    "completeness",
    "homogeneity",
    "integration_scores",
    "label_transfer_adjusted_rand_index",
    "normalized_mutual_information",
    "purity",
    "scores",
    "silhouette",
    "v_measure",
]
