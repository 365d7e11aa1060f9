"""The corrections by name."""

from spotscape._validate import check_choice
from spotscape.preprocessing.correction._base import Correction, NoCorrection
from spotscape.preprocessing.correction._centring import Centring
from spotscape.preprocessing.correction._combat import ComBat
from spotscape.preprocessing.correction._harmony import Harmony

#: Corrections by name.
CORRECTIONS: dict[str, type[Correction]] = {kind.name: kind for kind in (NoCorrection, Centring, ComBat, Harmony)}


def correction_named(name: str) -> Correction:
    """Create a correction that is not fitted.

    Parameters
    ----------
    name
        ``"none"``, ``"centre"``, ``"combat"`` or ``"harmony"``.

    Returns
    -------
    The correction.

    Raises
    ------
    ValueError
        If there is no correction with this name.

    Examples
    --------
    >>> from spotscape.preprocessing.correction import correction_named
    >>> correction_named("combat").name
    'combat'
    """
    check_choice(name, CORRECTIONS, "slice_correction")
    return CORRECTIONS[name]()
