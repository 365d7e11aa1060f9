"""What a model on expression and image features registers with scvi-tools' AnnDataManager, and how it is read."""

from typing import Any, cast

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from numpy.typing import NDArray
from scipy import sparse
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import BaseAnnDataField, LayerField, MuDataWrapper, NumericalObsField, ObsmField

from spotscape._constants import FIELD_KEYS
from spotscape.data._fields import ExpressionField, SliceField


def modality_fields(
    *,
    rna_key: str | None,
    image_key: str | None,
    rna_is_counts: bool,
    values: str,
    slice_key: str | None,
    spatial_key: str,
    size_factor_key: str | None,
    modality: str | None = None,
    image_modality: str | None = None,
) -> list[BaseAnnDataField]:
    """Fields of a model on one or two modalities and space.

    Parameters
    ----------
    rna_key
        Layer, or key of ``obsm``, with the expression; ``None`` for ``X``.
    image_key
        Key of ``obsm`` with the image features; of a MuData, within the modality, or ``None`` for its ``X``.
    rna_is_counts
        Whether ``rna_key`` is ``None`` or a layer, and not a key of ``obsm``.
    values
        Kind of the values of a layer, as :func:`~spotscape.data.check_setup` has found it.
    slice_key, spatial_key, size_factor_key
        Keys in ``obs``, ``obsm`` and ``obs``.
    modality, image_modality
        Modalities of the MuData, or ``None``. Without an image modality, a MuData has expression only.

    Returns
    -------
    Fields for :class:`scvi.data.AnnDataManager`.
    """
    plain = {"correct_data_format": False}
    declarations: list[tuple[Any, tuple, dict]] = [
        (ExpressionField, (rna_key, values), {})
        if rna_is_counts
        else (ObsmField, (REGISTRY_KEYS.X_KEY, rna_key), plain),
        (SliceField, (slice_key,), {}),
        (ObsmField, (FIELD_KEYS.COORDINATES, spatial_key), plain),
    ]
    if size_factor_key is not None:
        declarations.append((NumericalObsField, (REGISTRY_KEYS.SIZE_FACTOR_KEY, size_factor_key), {}))
    if modality is None:
        if image_key is not None:
            declarations.append((ObsmField, (FIELD_KEYS.IMAGE, image_key), plain))
        return [field(*args, **kwargs) for field, args, kwargs in declarations]
    fields = [MuDataWrapper(field)(*args, mod_key=modality, **kwargs) for field, args, kwargs in declarations]
    if image_modality is not None:
        if image_key is None:
            layer = MuDataWrapper(LayerField)
            fields.append(layer(FIELD_KEYS.IMAGE, None, is_count_data=False, mod_key=image_modality, **plain))
        else:
            fields.append(MuDataWrapper(ObsmField)(FIELD_KEYS.IMAGE, image_key, mod_key=image_modality, **plain))
    return fields


def read_modality(manager: AnnDataManager, registry_key: str) -> NDArray[np.float64]:
    """Features of a modality for all spots, with rows of NaN where a spot has none. ``(n_spots, n_columns)``.

    A modality of a MuData may have fewer spots than the MuData, and in another order.
    """
    values = as_matrix(manager.get_from_registry(registry_key))
    data = cast(AnnData | MuData, manager.adata)
    modality = manager.data_registry[registry_key].get("mod_key")
    if modality is None:
        return values
    return aligned(values, data.mod[modality].obs_names, data.obs_names)


def as_matrix(values: Any) -> NDArray[np.float64]:
    """Features as a dense array of numbers; ``ValueError`` or ``TypeError`` where they are none."""
    if sparse.issparse(values):
        values = values.toarray()
    return np.asarray(values.to_numpy() if isinstance(values, pd.DataFrame) else values, dtype=np.float64)


def aligned(values: NDArray[np.float64], names: pd.Index, wanted: pd.Index) -> NDArray[np.float64]:
    """Rows of the wanted spots, NaN where there are none."""
    place = names.get_indexer(wanted)
    result = np.full((len(wanted), values.shape[1]), np.nan)
    result[place >= 0] = values[place[place >= 0]]
    return result
