"""Training plan, callbacks and the defaults for the length of the training."""

from spotscape._defaults import default_batch_size, default_n_steps
from spotscape.train._callbacks import ClusterPhase, PrototypeWarmup, StopAtPlateau
from spotscape.train._plan import ScheduledTrainingPlan

__all__ = [
    "ClusterPhase",
    "PrototypeWarmup",
    "ScheduledTrainingPlan",
    "StopAtPlateau",
    "default_batch_size",
    "default_n_steps",
]
