"""The corrections by name."""

from spotscape._validate import check_choice
from spotscape.preprocessing.correction._base import Correction, NoCorrection
from spotscape.preprocessing.correction._centring import Centring
from spotscape.preprocessing.correction._combat import ComBat
from spotscape.preprocessing.correction._harmony import Harmony

#: Corrections by name.
CORRECTIONS: dict[str, type[Correction]] = {kind.name: kind for kind in (NoCorrection, Centring, ComBat, Harmony)}


def correction_named(name: str) -> Correction:
    """Make a correction that has not learnt anything.

    Parameters
    ----------
    name
        ``"none"``, ``"centre"``, ``"combat"`` or ``"harmony"``.

    Returns
    -------
    The correction.
    """
    check_choice(name, CORRECTIONS, "slice_correction")
    return CORRECTIONS[name]()
