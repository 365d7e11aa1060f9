"""The corrections by name, and how fitted ones are saved."""

from typing import Any

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


def correction_state(correction: Correction) -> dict[str, Any]:
    """Name and fitted parameters of a correction, as a dictionary.

    Parameters
    ----------
    correction
        The correction.

    Returns
    -------
    Dictionary with the entries ``name`` and ``fitted``.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.preprocessing.correction import Centring, correction_from_state, correction_state
    >>> state = correction_state(Centring().fit(np.array([[1.0], [2.0]]), np.array(["a", "b"])))
    >>> state["name"], state["fitted"]["slices"]
    ('centre', ['a', 'b'])
    >>> correction_from_state(state).name
    'centre'
    """
    return {"name": correction.name, "fitted": correction.get_state()}


def correction_from_state(state: dict[str, Any]) -> Correction:
    """Restore a correction from the result of :func:`correction_state`.

    Parameters
    ----------
    state
        Result of :func:`correction_state`.

    Returns
    -------
    The correction.

    Examples
    --------
    >>> from spotscape.preprocessing.correction import NoCorrection, correction_from_state, correction_state
    >>> correction_from_state(correction_state(NoCorrection())).name
    'none'
    """
    return CORRECTIONS[state["name"]].from_state(state["fitted"])
