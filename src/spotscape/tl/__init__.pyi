from ._choose_n_domains import choose_n_domains as choose_n_domains
from ._domains import domains as domains
from ._harmony import harmony as harmony
from ._neighborhood_enrichment import neighborhood_enrichment as neighborhood_enrichment
from ._predict_domains import predict_domains as predict_domains
from ._trajectory import trajectory as trajectory
from ._transfer_labels import transfer_labels as transfer_labels
from .alignment import align as align
