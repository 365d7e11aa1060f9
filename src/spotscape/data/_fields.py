"""Fields that the models register with the AnnDataManager of scvi-tools, and access to the registered data."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
import rich.pretty  # for `view_anndata_setup` of scvi-tools, which uses it without importing it
import rich.table
from anndata import AnnData
from mudata import MuData
from numpy.typing import NDArray
from scipy import sparse
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
from spotscape._slices import slice_names
from spotscape.data._findings import Findings
from spotscape.data._setup_checks import as_matrix, in_order_of
from spotscape.graph._storage import ensure_graph
from spotscape.preprocessing import Expression

_N_SPOTS_TO_CHECK = 100


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
    IS_WHOLE_KEY = "is_whole"

    def __init__(self, layer: str | None, values: str):
        super().__init__(REGISTRY_KEYS.X_KEY, layer, is_count_data=False, correct_data_format=False)
        self.values = values

    def register_field(self, adata: AnnData) -> dict:
        """Register data with the scale of the values and, for prepared query data, which genes were measured."""
        measured = adata.var[MEASURED_KEY].to_numpy(dtype=bool) if MEASURED_KEY in adata.var else None
        state = super().register_field(adata)
        is_whole = starts_with_whole_numbers(self.get_field_data(adata))
        return state | {self.VALUES_KEY: self.values, self.MEASURED_KEY: measured, self.IS_WHOLE_KEY: is_whole}


def starts_with_whole_numbers(matrix: Any) -> bool:
    """Whether the values of the first spots in memory are whole numbers. What is in a file cannot be changed."""
    if not (isinstance(matrix, np.ndarray) or sparse.issparse(matrix)):
        return True
    first = matrix[:_N_SPOTS_TO_CHECK]
    values = first.data if sparse.issparse(first) else first
    return bool((values == np.floor(values)).all())


class SliceField(CategoricalObsField):
    """Field of the slice of each spot. New data may have new slices, because encoders do not depend on the slice.

    Parameters
    ----------
    slice_key
        Column of ``obs``. Its values are registered as text. ``None``: all spots belong to one slice.
    findings
        What the checks of the data noticed, which is registered with the slices.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=40)
    >>> state = sps.data.SliceField("slice").register_field(adata)
    >>> state["categorical_mapping"].tolist()
    ['slice_1', 'slice_2']
    """

    FINDINGS_KEY = "findings"

    def __init__(self, slice_key: str | None, findings: Findings | None = None):
        super().__init__(REGISTRY_KEYS.BATCH_KEY, slice_key)
        self.findings = findings

    def register_field(self, adata: AnnData) -> dict:
        """Register the names of the slices as text, and what was noticed about the data."""
        return self._registered(adata, [])

    def transfer_field(self, state_registry: dict, adata_target: AnnData, **kwargs: Any) -> dict:
        """Register new data, and add the slices that the registered data do not have."""
        return self._registered(adata_target, [str(name) for name in state_registry[self.CATEGORICAL_MAPPING_KEY]])

    def _registered(self, adata: AnnData, known: list[str]) -> dict:
        if self.is_default:
            names = pd.Series("0", index=adata.obs_names, dtype="category")
            self._original_attr_key = self.attr_key
        else:
            self.validate_field(adata)
            names = slice_names(adata.obs[self._original_attr_key])
        mapping = known + [name for name in names.cat.categories if name not in set(known)]
        adata.obs[self.attr_key] = names.cat.set_categories(mapping).cat.codes
        return {
            self.CATEGORICAL_MAPPING_KEY: np.array(mapping, dtype=object),
            self.ORIGINAL_ATTR_KEY: self._original_attr_key,
            self.FINDINGS_KEY: (self.findings or Findings()).columns,
        }


class CoordinatesField(ObsmField):
    """Field of the coordinates. New data may store them in another container, with other names or another axis.

    Parameters
    ----------
    spatial_key
        Key of ``obsm``.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> sps.data.CoordinatesField("spatial").register_field(adata)["column_names"]
    ['x', 'y']
    """

    def __init__(self, spatial_key: str):
        super().__init__(FIELD_KEYS.COORDINATES, spatial_key, correct_data_format=False)

    def transfer_field(self, state_registry: dict, adata_target: AnnData, **kwargs: Any) -> dict:
        """Register the coordinates of new data, of which only the values matter."""
        return self.register_field(adata_target)

    def _setup_column_names(self, adata: AnnData) -> list[str]:
        return ["x", "y", "z"][: self.get_field_data(adata).shape[1]]


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

    registry_key = FIELD_KEYS.GRAPH
    attr_name = "obsp"
    # A graph is required.
    is_empty = False

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
        self.graph_key = graph_key
        keys: dict[str, Any] = {"slice_key": slice_key, "spatial_key": spatial_key}
        self.parameters = keys | {"method": method, "n_neighbors": n_neighbors, "radius": radius}

    @property
    def attr_key(self) -> str:
        """Key in ``obsp``."""
        return f"{self.graph_key}_connectivities"

    def validate_field(self, adata: AnnData) -> None:
        """Check the data, and build the graph if necessary. If a check fails, nothing is written."""
        ensure_graph(adata, key=self.graph_key, **self.parameters)

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


def graph_fields(kind: str | None, setup_args: Mapping[str, Any], findings: Findings) -> list[BaseAnnDataField]:
    """Fields of a model of expression and a spatial graph. For a MuData, all are in one modality.

    Parameters
    ----------
    kind
        Scale of the expression; ``None`` for features in ``obsm``.
    setup_args
        Arguments of :meth:`spotscape.SPOTSCAPE.setup_anndata` or ``setup_mudata``.
    findings
        What the checks of the data noticed.

    Returns
    -------
    Fields for :class:`scvi.data.AnnDataManager`.
    """
    make = _maker(setup_args.get("modality"))
    keys = {name: setup_args[name] for name in ("graph_key", "slice_key", "spatial_key")}
    rule = {"method": setup_args["graph"]} | {name: setup_args[name] for name in ("n_neighbors", "radius")}
    return [
        _input_field(make, kind, setup_args["layer"] if kind else setup_args["features_key"]),
        make(SpatialGraphField, **keys, **rule),
        *_spot_fields(make, setup_args, findings),
    ]


def window_fields(kind: str | None, setup_args: Mapping[str, Any], findings: Findings) -> list[BaseAnnDataField]:
    """Fields of a model of expression, image features and coordinates.

    Parameters
    ----------
    kind
        Scale of the expression; ``None`` for features in ``obsm``.
    setup_args
        Arguments of :meth:`spotscape.AESTETIK.setup_anndata` or ``setup_mudata``.
    findings
        What the checks of the data noticed.

    Returns
    -------
    Fields for :class:`scvi.data.AnnDataManager`.
    """
    rna_key, image_key = setup_args["rna_key"], setup_args["image_key"]
    modality, image_modality = setup_args.get("modality"), setup_args.get("image_modality")
    make, make_image = _maker(modality), _maker(image_modality)
    fields = [_input_field(make, kind, rna_key), *_spot_fields(make, setup_args, findings)]
    if image_key is not None:
        fields.append(make_image(ObsmField, FIELD_KEYS.IMAGE, image_key, correct_data_format=False))
    elif image_modality is not None:
        fields.append(make_image(LayerField, FIELD_KEYS.IMAGE, None, is_count_data=False, correct_data_format=False))
    return fields


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


def reads_expression(manager: AnnDataManager) -> bool:
    """Whether data were set up with expression, and not with features in ``obsm``."""
    return ExpressionField.VALUES_KEY in manager.get_state_registry(REGISTRY_KEYS.X_KEY)


def registered_input(manager: AnnDataManager) -> Expression | NDArray[np.float64]:
    """Expression, or features of all spots if data were set up with features in ``obsm``."""
    if reads_expression(manager):
        return registered_expression(manager)
    return registered_features(manager, REGISTRY_KEYS.X_KEY)


def registered_slices(manager: AnnDataManager) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Code and name of the slice of each spot. ``(n_spots,)`` each."""
    codes = np.asarray(manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY), dtype=np.int64).ravel()
    names = manager.get_state_registry(REGISTRY_KEYS.BATCH_KEY)["categorical_mapping"]
    return codes, np.asarray(names).astype(str)[codes]


def slices_of(registry: Mapping[str, Any]) -> dict[str, Any]:
    """State of the slices in the registry of data or of a saved model."""
    return cast(dict[str, Any], registry["field_registries"][REGISTRY_KEYS.BATCH_KEY]["state_registry"])


def registered_coordinates(manager: AnnDataManager) -> NDArray[Any]:
    """Coordinates of the spots. ``(n_spots, 2)`` or ``(n_spots, 3)``."""
    return np.asarray(manager.get_from_registry(FIELD_KEYS.COORDINATES))


def _input_field(make: Callable[..., BaseAnnDataField], kind: str | None, key: str | None) -> BaseAnnDataField:
    """Expression in ``X`` or a layer; features in ``obsm`` if there is no ``kind``."""
    if kind is None:
        return make(ObsmField, REGISTRY_KEYS.X_KEY, key, correct_data_format=False)
    return make(ExpressionField, key, kind)


def _spot_fields(
    make: Callable[..., BaseAnnDataField], setup_args: Mapping[str, Any], findings: Findings
) -> list[BaseAnnDataField]:
    """Slice, coordinates and, if there is a key, size factor of each spot."""
    fields = [
        make(SliceField, setup_args["slice_key"], findings),
        make(CoordinatesField, setup_args["spatial_key"]),
    ]
    if (key := setup_args["size_factor_key"]) is not None:
        fields.append(make(NumericalObsField, REGISTRY_KEYS.SIZE_FACTOR_KEY, key))
    return fields


def _maker(modality: str | None) -> Callable[..., BaseAnnDataField]:
    """Function that makes a field of an AnnData, or of a modality of a MuData, from its class and arguments."""
    if modality is None:
        return lambda field, *args, **kwargs: field(*args, **kwargs)
    return lambda field, *args, **kwargs: MuDataWrapper(field)(*args, mod_key=modality, **kwargs)
