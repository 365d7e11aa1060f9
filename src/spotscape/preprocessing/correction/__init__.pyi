from ._base import Correction as Correction
from ._base import NoCorrection as NoCorrection
from ._centring import Centring as Centring
from ._combat import ComBat as ComBat
from ._harmony import Harmony as Harmony
from ._registry import CORRECTIONS as CORRECTIONS
from ._registry import correction_named as correction_named
