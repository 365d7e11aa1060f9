"""Access to the data that are registered with an AnnDataManager."""

from typing import Any, cast

import numpy as np
from anndata import AnnData
from mudata import MuData
from numpy.typing import NDArray
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

from spotscape._constants import FIELD_KEYS
from spotscape.data._fields import ExpressionField
from spotscape.data._setup_checks import as_matrix, in_order_of
from spotscape.preprocessing import Expression


def registered_expression(manager: AnnDataManager) -> Expression:
    """Expression matrix with its genes, scale, size factors and measured genes."""
    state = manager.get_state_registry(REGISTRY_KEYS.X_KEY)
    size_factors = None
    if REGISTRY_KEYS.SIZE_FACTOR_KEY in manager.data_registry:
        size_factors = np.asarray(manager.get_from_registry(REGISTRY_KEYS.SIZE_FACTOR_KEY), dtype=float).ravel()
    return Expression(
        manager.get_from_registry(REGISTRY_KEYS.X_KEY),
        [str(name) for name in state[ExpressionField.COLUMN_NAMES_KEY]],
        values=state[ExpressionField.VALUES_KEY],
        size_factors=size_factors,
        measured=state.get(ExpressionField.MEASURED_KEY),
    )


def registered_features(manager: AnnDataManager, registry_key: str) -> NDArray[np.float64]:
    """Features of all spots, with NaN for spots without features. ``(n_spots, n_columns)``.

    A modality of a MuData may have fewer spots than the MuData, in another order.
    """
    values = as_matrix(manager.get_from_registry(registry_key))
    data = cast(AnnData | MuData, manager.adata)
    modality = manager.data_registry[registry_key].get("mod_key")
    return values if modality is None else in_order_of(data.obs_names, values, data.mod[modality].obs_names)


def registered_slices(manager: AnnDataManager) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Code and name of the slice of each spot. ``(n_spots,)`` each."""
    codes = np.asarray(manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY), dtype=np.int64).ravel()
    names = manager.get_state_registry(REGISTRY_KEYS.BATCH_KEY)["categorical_mapping"]
    return codes, np.asarray(names).astype(str)[codes]


def registered_coordinates(manager: AnnDataManager) -> NDArray[Any]:
    """Coordinates of the spots. ``(n_spots, 2)`` or ``(n_spots, 3)``."""
    return np.asarray(manager.get_from_registry(FIELD_KEYS.COORDINATES))
