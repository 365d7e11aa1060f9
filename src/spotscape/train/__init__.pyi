from ._callbacks import ClusterPhase as ClusterPhase
from ._callbacks import PrototypeWarmup as PrototypeWarmup
from ._callbacks import StopAtPlateau as StopAtPlateau
from ._defaults import default_batch_size as default_batch_size
from ._defaults import default_n_steps as default_n_steps
from ._plan import ScheduledTrainingPlan as ScheduledTrainingPlan
