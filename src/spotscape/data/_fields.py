"""What the models register with scvi-tools' AnnDataManager, and what they read from it."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import rich.table
from anndata import AnnData
from mudata import MuData
from numpy.typing import NDArray
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import (
    BaseAnnDataField,
    CategoricalObsField,
    LayerField,
    MuDataWrapper,
    NumericalObsField,
    ObsmField,
)

from spotscape._constants import FIELD_KEYS, MEASURED_KEY
from spotscape.data._setup_checks import as_matrix, in_order_of
from spotscape.graph._storage import ensure_graph
from spotscape.preprocessing import Expression


class ExpressionField(LayerField):
    """Expression in ``X`` or a layer, with the names of the genes and the kind of its values.

    Parameters
    ----------
    layer
        Layer; ``X`` if ``None``.
    values
        Kind of the values, as :func:`~spotscape.data.check_setup` has found it.
    """

    VALUES_KEY = "values"
    MEASURED_KEY = "measured"

    def __init__(self, layer: str | None, values: str):
        super().__init__(REGISTRY_KEYS.X_KEY, layer, is_count_data=False, correct_data_format=False)
        self.values = values

    def register_field(self, adata: AnnData) -> dict:
        """Register, and record the kind of the values and, in completed data, which genes were measured."""
        measured = adata.var[MEASURED_KEY].to_numpy(dtype=bool) if MEASURED_KEY in adata.var else None
        return super().register_field(adata) | {self.VALUES_KEY: self.values, self.MEASURED_KEY: measured}


class SliceField(CategoricalObsField):
    """Slice of each spot. New data may bring new slices, since no encoder depends on which slice it is."""

    def __init__(self, slice_key: str | None):
        super().__init__(REGISTRY_KEYS.BATCH_KEY, slice_key)

    def transfer_field(self, state_registry: dict, adata_target: AnnData, **kwargs: Any) -> dict:
        """Register new data, adding the slices that the source did not have."""
        return super().transfer_field(state_registry, adata_target, **(kwargs | {"extend_categories": True}))


class SpatialGraphField(BaseAnnDataField):
    """Spatial graph in ``obsp``, built on registration unless the very same is already there.

    Parameters
    ----------
    graph_key
        Stem of the keys in ``obsp`` and ``uns``, as squidpy's ``key_added``.
    **parameters
        ``slice_key`` and ``spatial_key``, where slices and coordinates are; and ``method``, ``n_neighbors`` and
        ``radius`` as in :func:`~spotscape.graph.build_spatial_graph`, or the method ``"precomputed"``.
    """

    registry_key = FIELD_KEYS.GRAPH
    attr_name = "obsp"
    # A graph is always needed.
    is_empty = False

    def __init__(self, *, graph_key: str, **parameters: Any):
        super().__init__()
        self.graph_key = graph_key
        self.parameters = parameters

    @property
    def attr_key(self) -> str:
        """Key in that attribute."""
        return f"{self.graph_key}_connectivities"

    def validate_field(self, adata: AnnData) -> None:
        """Build the graph if it is not there; what could be wrong raises before anything is written."""
        ensure_graph(adata, key=self.graph_key, **self.parameters)

    def register_field(self, adata: AnnData) -> dict:
        """Build the graph if it is not there."""
        super().register_field(adata)
        return self.parameters | {"n_edges": int(adata.obsp[self.attr_key].nnz)}

    def transfer_field(self, state_registry: dict, adata_target: AnnData, **kwargs: Any) -> dict:
        """Build the graph of new data by the same rule."""
        super().transfer_field(state_registry, adata_target, **kwargs)
        return self.register_field(adata_target)

    def get_summary_stats(self, state_registry: dict) -> dict:
        """Number of directed edges."""
        return {"n_edges": state_registry["n_edges"]}

    def view_state_registry(self, state_registry: dict) -> rich.table.Table | None:
        """Table of the parameters."""
        table = rich.table.Table(title=f"{self.registry_key} State Registry")
        table.add_column("Parameter")
        table.add_column("Value")
        for name, value in state_registry.items():
            table.add_row(name, str(value))
        return table


def graph_fields(kind: str | None, setup_args: Mapping[str, Any]) -> list[BaseAnnDataField]:
    """Fields of a model on expression and a spatial graph; all in one modality if the data is a MuData.

    Parameters
    ----------
    kind
        Kind of the values of the expression.
    setup_args
        Arguments of :meth:`spotscape.SPOTSCAPE.setup_anndata` or ``setup_mudata``.

    Returns
    -------
    Fields for :class:`scvi.data.AnnDataManager`.
    """
    make = _maker(setup_args.get("modality"))
    keys = {name: setup_args[name] for name in ("graph_key", "slice_key", "spatial_key")}
    rule = {"method": setup_args["graph"]} | {name: setup_args[name] for name in ("n_neighbors", "radius")}
    return [
        make(ExpressionField, setup_args["layer"], kind),
        make(SpatialGraphField, **keys, **rule),
        *_spot_fields(make, setup_args),
    ]


def window_fields(kind: str | None, setup_args: Mapping[str, Any]) -> list[BaseAnnDataField]:
    """Fields of a model on expression, image features and positions.

    Parameters
    ----------
    kind
        Kind of the values of the expression; ``None`` for features in ``obsm``.
    setup_args
        Arguments of :meth:`spotscape.AESTETIK.setup_anndata` or ``setup_mudata``.

    Returns
    -------
    Fields for :class:`scvi.data.AnnDataManager`.
    """
    rna_key, image_key = setup_args["rna_key"], setup_args["image_key"]
    modality, image_modality = setup_args.get("modality"), setup_args.get("image_modality")
    make, make_image = _maker(modality), _maker(image_modality)
    if kind is None:
        expression = make(ObsmField, REGISTRY_KEYS.X_KEY, rna_key, correct_data_format=False)
    else:
        expression = make(ExpressionField, rna_key, kind)
    fields = [expression, *_spot_fields(make, setup_args)]
    if image_key is not None:
        fields.append(make_image(ObsmField, FIELD_KEYS.IMAGE, image_key, correct_data_format=False))
    elif image_modality is not None:
        fields.append(make_image(LayerField, FIELD_KEYS.IMAGE, None, is_count_data=False, correct_data_format=False))
    return fields


def registered_expression(manager: AnnDataManager) -> Expression:
    """Expression matrix with its genes, the kind of its values, size factors and which genes were measured."""
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
    """Features in ``obsm`` for all spots, with rows of NaN where a spot has none. ``(n_spots, n_columns)``.

    A modality of a MuData may have fewer spots than the MuData, and in another order.
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
    """Positions of the spots. ``(n_spots, 2)`` or ``(n_spots, 3)``."""
    return np.asarray(manager.get_from_registry(FIELD_KEYS.COORDINATES))


def _spot_fields(make: Callable[..., BaseAnnDataField], setup_args: Mapping[str, Any]) -> list[BaseAnnDataField]:
    """Slice, position and, where it is given, size factor of each spot."""
    fields = [
        make(SliceField, setup_args["slice_key"]),
        make(ObsmField, FIELD_KEYS.COORDINATES, setup_args["spatial_key"], correct_data_format=False),
    ]
    if (key := setup_args["size_factor_key"]) is not None:
        fields.append(make(NumericalObsField, REGISTRY_KEYS.SIZE_FACTOR_KEY, key))
    return fields


def _maker(modality: str | None) -> Callable[..., BaseAnnDataField]:
    """What makes a field from its class and arguments, in an AnnData or in a modality of a MuData."""
    if modality is None:
        return lambda field, *args, **kwargs: field(*args, **kwargs)
    return lambda field, *args, **kwargs: MuDataWrapper(field)(*args, mod_key=modality, **kwargs)
