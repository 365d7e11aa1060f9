"""Published figures of single sections of human cortex (seven layers)."""

from typing import NamedTuple


class Published(NamedTuple):
    """Figures of a paper for one slice."""

    slice: str
    method: str
    protocol: str
    ari: float
    nmi: float | None = None
    ca: float | None = None


_SPOTSCAPE = ("Spotscape (ICML 2025)", "mean of 10 seeds, k-means on the representation, K of the annotation")
_GRAPHST = ("GraphST", "mclust (R) on 20 components, then labels refined by those of spatial neighbours")
_SEDR = ("SEDR, run again for Spotscape (ICML 2025)", _SPOTSCAPE[1])
#: Those that each model is compared with; the learning rate of the first was chosen for these data.
PUBLISHED = {
    "SPOTSCAPE": (
        Published("151673", *_SPOTSCAPE, ari=0.48, nmi=0.64, ca=0.61),
        Published("151675", *_SPOTSCAPE, ari=0.45, nmi=0.60, ca=0.59),
        Published("151673", *_GRAPHST, ari=0.638),
        Published("151675", *_GRAPHST, ari=0.630),
    ),
    "SEDR": (
        Published("151673", *_SEDR, ari=0.36),
        Published("151675", *_SEDR, ari=0.33),
    ),
}
