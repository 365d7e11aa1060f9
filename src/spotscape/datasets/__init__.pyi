from ._synthetic import synthetic_tissue as synthetic_tissue
from ._two_modalities import synthetic_modalities as synthetic_modalities
