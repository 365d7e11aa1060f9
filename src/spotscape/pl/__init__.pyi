from ._alignment import alignment as alignment
from ._domains import domains as domains
from ._embedding import embedding as embedding
from ._history import history as history
from ._integration import integration as integration
from ._n_domains import n_domains as n_domains
from ._similarity import similarity as similarity
from ._tiles import tiles as tiles
