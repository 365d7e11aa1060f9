from . import cluster as cluster
from . import data as data
from . import datasets as datasets
from . import get as get
from . import graph as graph
from . import io as io
from . import metrics as metrics
from . import module as module
from . import nn as nn
from . import novelty as novelty
from . import pl as pl
from . import pp as pp
from . import preprocessing as preprocessing
from . import tl as tl
from . import train as train
from ._report import report as report
from .model import AESTETIK as AESTETIK
from .model import SEDR as SEDR
from .model import SPOTSCAPE as SPOTSCAPE

__version__: str
