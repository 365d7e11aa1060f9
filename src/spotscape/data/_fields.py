"""Fields that the models register with the AnnDataManager of scvi-tools."""

from collections.abc import Mapping, Sequence
from typing import Any

import rich.table
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data.fields import (
    BaseAnnDataField,
    CategoricalObsField,
    LayerField,
    MuDataWrapper,
    NumericalObsField,
    ObsmField,
)

from spotscape._constants import FIELD_KEYS, MEASURED_KEY
from spotscape.data._setup_checks import check_genes
from spotscape.graph._storage import ensure_graph

# Class, arguments and keyword arguments of a field.
Declaration = tuple[Any, tuple, dict[str, Any]]
_AS_IT_IS = {"correct_data_format": False}


class ExpressionField(LayerField):
    """Field of the expression, in ``X`` or a layer, with the names of the genes and the scale of the values.

    Parameters
    ----------
    layer
        Layer. ``None``: ``X``.
    values
        Scale of the values: ``"counts"``, ``"normalized"`` or ``"log-normalized"``.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> state = sps.data.ExpressionField("counts", values="counts").register_field(adata)
    >>> len(state["column_names"]), state["values"]
    (40, 'counts')
    """

    VALUES_KEY = "values"
    MEASURED_KEY = "measured"

    def __init__(self, layer: str | None, values: str):
        super().__init__(REGISTRY_KEYS.X_KEY, layer, is_count_data=False, correct_data_format=False)
        self.values = values

    def register_field(self, adata: AnnData) -> dict:
        """Register data with the scale of the values and, for prepared query data, which genes were measured."""
        measured = adata.var[MEASURED_KEY].to_numpy(dtype=bool) if MEASURED_KEY in adata.var else None
        return super().register_field(adata) | {self.VALUES_KEY: self.values, self.MEASURED_KEY: measured}

    def transfer_field(self, state_registry: dict, adata_target: AnnData, **kwargs: Any) -> dict:
        """Register new data, which must have the same genes in the same order."""
        check_genes(state_registry[self.COLUMN_NAMES_KEY], adata_target)
        return super().transfer_field(state_registry, adata_target, **kwargs)


class SliceField(CategoricalObsField):
    """Field of the slice of each spot. New data may have new slices, because encoders do not depend on the slice.

    Parameters
    ----------
    slice_key
        Column of ``obs``. ``None``: all spots belong to one slice.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=40)
    >>> state = sps.data.SliceField("slice").register_field(adata)
    >>> state["categorical_mapping"].tolist()
    ['slice_1', 'slice_2']
    """

    def __init__(self, slice_key: str | None):
        super().__init__(REGISTRY_KEYS.BATCH_KEY, slice_key)

    def transfer_field(self, state_registry: dict, adata_target: AnnData, **kwargs: Any) -> dict:
        """Register new data, and add the slices that the registered data do not have."""
        return super().transfer_field(state_registry, adata_target, **(kwargs | {"extend_categories": True}))


class SpatialGraphField(BaseAnnDataField):
    """Field of the spatial graph in ``obsp``, which is built on registration unless the same graph is already stored.

    Parameters
    ----------
    slice_key, spatial_key
        Column of ``obs`` with the slices, and key of ``obsm`` with the coordinates.
    graph_key
        Prefix of the keys in ``obsp`` and ``uns``, like ``key_added`` in squidpy.
    method, n_neighbors, radius
        As in :func:`~spotscape.graph.build_spatial_graph`, or ``"precomputed"``.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> keys = {"slice_key": None, "spatial_key": "spatial", "graph_key": "spatial"}
    >>> field = sps.data.SpatialGraphField(**keys, method="knn", n_neighbors=4, radius=None)
    >>> state = field.register_field(adata)
    >>> field.get_summary_stats(state)["n_edges"] == adata.obsp["spatial_connectivities"].nnz
    True
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
        """Attribute of the AnnData, ``"obsp"``."""
        return "obsp"

    @property
    def attr_key(self) -> str:
        """Key in ``obsp``."""
        return f"{self.graph_key}_connectivities"

    @property
    def is_empty(self) -> bool:
        """Always False, because a graph is required."""
        return False

    def validate_field(self, adata: AnnData) -> None:
        """Check the data, and build the graph if necessary. If a check fails, nothing is written."""
        slice_key, spatial_key = self.parameters["slice_key"], self.parameters["spatial_key"]
        ensure_graph(
            adata,
            slices=None if slice_key is None else adata.obs[slice_key].to_numpy(),
            coordinates=adata.obsm[spatial_key],
            key=self.graph_key,
            **self.parameters,
        )

    def register_field(self, adata: AnnData) -> dict:
        """Build the graph if necessary, and return its parameters and number of edges."""
        super().register_field(adata)
        return self.parameters | {"n_edges": int(adata.obsp[self.attr_key].nnz)}

    def transfer_field(self, state_registry: dict, adata_target: AnnData, **kwargs: Any) -> dict:
        """Build the graph of new data with the parameters of this field."""
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
    """Fields of a model of expression and a spatial graph. For a MuData, all are in one modality.

    Parameters
    ----------
    kind
        Scale of the expression.
    setup_args
        Arguments of :meth:`spotscape.SPOTSCAPE.setup_anndata` or ``setup_mudata``.

    Returns
    -------
    Fields for :class:`scvi.data.AnnDataManager`.
    """
    parameters = {name: setup_args[name] for name in ("slice_key", "spatial_key", "graph_key", "n_neighbors", "radius")}
    expression: Declaration = (ExpressionField, (setup_args["layer"], kind), {})
    graph = (SpatialGraphField, (), parameters | {"method": setup_args["graph"]})
    return _made([expression, graph, *_spot_fields(setup_args)], setup_args.get("modality"))


def window_fields(kind: str | None, setup_args: Mapping[str, Any]) -> list[BaseAnnDataField]:
    """Fields of a model of expression, image features and coordinates.

    Parameters
    ----------
    kind
        Scale of the expression; ``None`` for features in ``obsm``.
    setup_args
        Arguments of :meth:`spotscape.AESTETIK.setup_anndata` or ``setup_mudata``.

    Returns
    -------
    Fields for :class:`scvi.data.AnnDataManager`.
    """
    rna_key, image_key = setup_args["rna_key"], setup_args["image_key"]
    expression: Declaration = (ObsmField, (REGISTRY_KEYS.X_KEY, rna_key), _AS_IT_IS)
    if kind is not None:
        expression = (ExpressionField, (rna_key, kind), {})
    image: Declaration = (ObsmField, (FIELD_KEYS.IMAGE, image_key), _AS_IT_IS)
    modality, image_modality = setup_args.get("modality"), setup_args.get("image_modality")
    fields = _made([expression, *_spot_fields(setup_args)], modality)
    if modality is None:
        return fields + ([] if image_key is None else _made([image], None))
    if image_key is None:
        image = (LayerField, (FIELD_KEYS.IMAGE, None), {"is_count_data": False} | _AS_IT_IS)
    return fields + ([] if image_modality is None else _made([image], image_modality))


def _spot_fields(setup_args: Mapping[str, Any]) -> list[Declaration]:
    """Slice, coordinates and, if there is a key, size factor of each spot."""
    declarations: list[Declaration] = [
        (SliceField, (setup_args["slice_key"],), {}),
        (ObsmField, (FIELD_KEYS.COORDINATES, setup_args["spatial_key"]), _AS_IT_IS),
    ]
    if (key := setup_args["size_factor_key"]) is not None:
        declarations.append((NumericalObsField, (REGISTRY_KEYS.SIZE_FACTOR_KEY, key), {}))
    return declarations


def _made(declarations: Sequence[Declaration], modality: str | None) -> list[BaseAnnDataField]:
    if modality is None:
        return [field(*args, **kwargs) for field, args, kwargs in declarations]
    return [MuDataWrapper(field)(*args, mod_key=modality, **kwargs) for field, args, kwargs in declarations]
