"""Training plan and callbacks."""

from spotscape.train._callbacks import ClusterPhase, PrototypeWarmup, StopAtPlateau
from spotscape.train._plan import ScheduledTrainingPlan

__all__ = ["ClusterPhase", "PrototypeWarmup", "ScheduledTrainingPlan", "StopAtPlateau"]
