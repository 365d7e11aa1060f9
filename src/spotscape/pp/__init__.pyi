from ._measured_genes import measured_genes as measured_genes
from ._spatial_neighbors import spatial_neighbors as spatial_neighbors
from ._thin_counts import thin_counts as thin_counts
from .image import image_features as image_features
