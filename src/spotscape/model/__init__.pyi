from ._aestetik import AESTETIK as AESTETIK
from ._base import LatentModel as LatentModel
from ._sedr import SEDR as SEDR
from ._spatial import SpatialModel as SpatialModel
from ._spotscape import SPOTSCAPE as SPOTSCAPE
