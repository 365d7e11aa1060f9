"""What the models register with scvi-tools' AnnDataManager."""

from typing import Any

import numpy as np
import rich.table
from anndata import AnnData
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
from spotscape.graph._storage import ensure_graph


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

    def transfer_field(self, state_registry: dict, adata_target: AnnData, **kwargs: Any) -> dict:
        """Register new data, which must have the same genes in the same order."""
        check_genes(state_registry[self.COLUMN_NAMES_KEY], adata_target)
        return super().transfer_field(state_registry, adata_target, **kwargs)


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
    slice_key, spatial_key
        Where slices and coordinates are.
    graph_key
        Stem of the keys in ``obsp`` and ``uns``, as squidpy's ``key_added``.
    method, n_neighbors, radius
        As in :func:`~spotscape.graph.build_spatial_graph`, or ``"precomputed"``.
    """

    def __init__(
        self,
        *,
        slice_key: str | None,
        spatial_key: str,
        graph_key: str,
        method: str,
        n_neighbors: int | None,
        radius: float | None,
    ):
        super().__init__()
        self.parameters: dict[str, Any] = {
            "slice_key": slice_key,
            "spatial_key": spatial_key,
            "method": method,
            "n_neighbors": n_neighbors,
            "radius": radius,
        }
        self.graph_key = graph_key

    @property
    def registry_key(self) -> str:
        """Key in the registry."""
        return FIELD_KEYS.GRAPH

    @property
    def attr_name(self) -> str:
        """Attribute of the AnnData."""
        return "obsp"

    @property
    def attr_key(self) -> str:
        """Key in that attribute."""
        return f"{self.graph_key}_connectivities"

    @property
    def is_empty(self) -> bool:
        """A graph is always needed."""
        return False

    def validate_field(self, adata: AnnData) -> None:
        """Build the graph if it is not there; what could be wrong raises before anything is written."""
        slice_key, spatial_key = self.parameters["slice_key"], self.parameters["spatial_key"]
        ensure_graph(
            adata,
            slices=None if slice_key is None else adata.obs[slice_key].to_numpy(),
            coordinates=adata.obsm[spatial_key],
            key=self.graph_key,
            **self.parameters,
        )

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


def spatial_fields(
    *,
    layer: str | None,
    values: str,
    slice_key: str | None,
    spatial_key: str,
    size_factor_key: str | None,
    modality: str | None = None,
    **graph_parameters: Any,
) -> list[BaseAnnDataField]:
    """Fields of a model on expression and space; all in one modality if the data is a MuData.

    Parameters
    ----------
    layer, values
        As :class:`ExpressionField`.
    slice_key, spatial_key, size_factor_key
        Keys in ``obs``, ``obsm`` and ``obs``.
    modality
        Modality of the MuData, or ``None`` for an AnnData.
    **graph_parameters
        As :class:`SpatialGraphField`.

    Returns
    -------
    Fields for :class:`scvi.data.AnnDataManager`.
    """
    graph_parameters |= {"slice_key": slice_key, "spatial_key": spatial_key}
    declarations = [
        (ExpressionField, (layer, values), {}),
        (SpatialGraphField, (), graph_parameters),
        (SliceField, (slice_key,), {}),
        (ObsmField, (FIELD_KEYS.COORDINATES, spatial_key), {"correct_data_format": False}),
    ]
    if size_factor_key is not None:
        declarations.append((NumericalObsField, (REGISTRY_KEYS.SIZE_FACTOR_KEY, size_factor_key), {}))
    if modality is None:
        return [field(*args, **kwargs) for field, args, kwargs in declarations]
    return [MuDataWrapper(field)(*args, mod_key=modality, **kwargs) for field, args, kwargs in declarations]


def check_all_measured(adata: AnnData) -> None:
    """Raise ``ValueError`` if genes of ``adata`` were completed for another model, so that their zeros mean nothing."""
    if MEASURED_KEY in adata.var and not adata.var[MEASURED_KEY].all():
        raise ValueError(
            "The data was completed with genes that were not measured, for another model; set up the data as it was "
            f"measured, `adata[:, adata.var[{MEASURED_KEY!r}]].copy()`."
        )


def check_genes(expected: np.ndarray, adata: AnnData) -> None:
    """Raise ``ValueError`` unless the genes of ``adata`` are the expected ones in the same order."""
    found = np.asarray(adata.var_names)
    if np.array_equal(found, expected):
        return
    missing = np.setdiff1d(expected, found)
    if len(missing):
        raise ValueError(
            f"{len(missing)} of the {len(expected)} genes of the model are missing from the data, for example "
            f"{', '.join(map(str, missing[:3]))}; call `prepare_query_anndata(adata, model)` first, a method of the "
            "model's class, which completes them."
        )
    raise ValueError(
        "The data has the genes of the model, but in another order or among others; take them with "
        "`adata = adata[:, model.get_var_names()].copy()`, where `model` may be loaded with `adata=False`."
    )


def slice_names(manager: AnnDataManager) -> np.ndarray:
    """Name of the slice of each spot. ``(n_spots,)``."""
    codes = np.asarray(manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)).ravel()
    names = manager.get_state_registry(REGISTRY_KEYS.BATCH_KEY)["categorical_mapping"]
    return np.asarray(names).astype(str)[codes]
