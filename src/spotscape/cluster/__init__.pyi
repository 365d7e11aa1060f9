from ._hierarchy import merge_domains as merge_domains
from ._mixture import SharedCovarianceMixture as SharedCovarianceMixture
from ._partitions import Alternatives as Alternatives
from ._partitions import Partition as Partition
from ._partitions import fit_shared_mixture as fit_shared_mixture
from ._partitions import kmeans_partition as kmeans_partition
from ._partitions import mixture_partition as mixture_partition
