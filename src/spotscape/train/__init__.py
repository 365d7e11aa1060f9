"""Training plan and callbacks."""

from spotscape.train._callbacks import PrototypeWarmup, StopAtPlateau
from spotscape.train._plan import ScheduledTrainingPlan

__all__ = ["PrototypeWarmup", "ScheduledTrainingPlan", "StopAtPlateau"]
