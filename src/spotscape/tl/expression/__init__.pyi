from ._differential_expression import differential_expression as differential_expression
from ._enrichment import enrichment as enrichment
from ._gene_correlations import gene_correlations as gene_correlations
from ._markers import markers as markers
