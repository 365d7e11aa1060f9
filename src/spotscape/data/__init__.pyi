from ._datasets import GraphDataset as GraphDataset
from ._datasets import SpotDataset as SpotDataset
from ._datasets import WindowDataset as WindowDataset
from ._fields import ExpressionField as ExpressionField
from ._fields import SliceField as SliceField
from ._fields import SpatialGraphField as SpatialGraphField
from ._loader import SpotDataLoader as SpotDataLoader
from ._loader import SpotDataSplitter as SpotDataSplitter
