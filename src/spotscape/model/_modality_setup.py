"""How data is set up for models on expression and image features."""

from typing import Any, Literal

from anndata import AnnData
from mudata import MuData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager, AnnDataManagerValidationCheck
from scvi.model.base import BaseModelClass
from scvi.utils import setup_anndata_dsp

from spotscape._constants import FIELD_KEYS
from spotscape._validate import check_choice
from spotscape.data import ExpressionField, check_all_measured, check_genes, check_modalities, modality_fields
from spotscape.model._setup import check_kind


class ModalitySetupMixin(BaseModelClass):
    """``setup_anndata`` and ``setup_mudata`` for one or two modalities."""

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        rna_key: str | None = None,
        image_key: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        **kwargs: Any,
    ) -> None:
        """%(summary)s

        Everything is checked first; if anything is wrong the AnnData stays as it was.

        Parameters
        ----------
        %(param_adata)s
        rna_key
            Layer with counts, which go through the package's preprocessing, or key of ``adata.obsm`` with features,
            such as a corrected representation or the embedding of a foundation model. ``None``: ``adata.X``.
        image_key
            Key of ``adata.obsm`` with image features, such as those of ``spotscape.pp.image_features``; rows of NaN
            for spots without an image. ``None``: expression only.
        slice_key
            Column of ``adata.obs`` with the slice (section) of each spot. ``None``: all spots are of one slice.
        spatial_key
            Key of ``adata.obsm`` with the coordinates, ``(n_spots, 2)`` or ``(n_spots, 3)``, in any unit; slices may
            each have their own.
        size_factor_key
            Column of ``adata.obs`` with each spot's total over all genes, for counts of some of the genes only.
        values
            What the expression in ``X`` or a layer is. ``"auto"`` recognises it and warns if it is not counts.

        Returns
        -------
        %(returns)s

        Raises
        ------
        KeyError
            If a key is missing.
        ValueError, TypeError
            If the data cannot be used; the message says why and what to do.
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        cls._register(adata, setup_method_args, kwargs)

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_mudata(
        cls,
        mdata: MuData,
        modality: str = "rna",
        image_modality: str | None = "image",
        rna_key: str | None = None,
        image_key: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        **kwargs: Any,
    ) -> None:
        """%(summary_mdata)s

        Parameters
        ----------
        %(param_mdata)s
        modality
            Modality with the expression of all spots; it also holds the slices and the coordinates.
        image_modality
            Modality with the image features, which may lack spots. ``None``: expression only.
        rna_key
            Layer, or key of ``obsm``, of the modality with the expression. ``None``: its ``X``.
        image_key
            Key of ``obsm`` of the image modality. ``None``: its ``X``.
        slice_key, spatial_key, size_factor_key, values
            As in :meth:`setup_anndata`, within the modality with the expression.

        Returns
        -------
        %(returns)s
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        cls._register(mdata, setup_method_args, kwargs)

    @classmethod
    def _register(cls, data: AnnData | MuData, setup_method_args: dict, transfer_kwargs: dict[str, Any]) -> None:
        if unknown := transfer_kwargs.keys() - {"source_registry", "extend_categories", "allow_missing_labels"}:
            method = setup_method_args["setup_method_name"]
            raise TypeError(
                f"`{method}` has no argument {sorted(unknown)[0]!r}; see its documentation for those it has."
            )
        arguments = dict(setup_method_args["setup_args"])
        kind = check_modality_data(data, arguments, transfer_kwargs.get("source_registry"))
        arguments |= {"rna_is_counts": kind is not None, "values": kind}
        manager = AnnDataManager(
            fields=modality_fields(**arguments),
            setup_method_args=setup_method_args,
            # The image may lack spots; all else of the pairing has been checked above.
            validation_checks=AnnDataManagerValidationCheck(check_fully_paired_mudata=False),
        )
        manager.register_fields(data, **transfer_kwargs)
        cls.register_manager(manager)


def check_modality_data(data: AnnData | MuData, setup_args: dict[str, Any], source_registry: dict | None) -> str | None:
    """Raise if data cannot be set up with these arguments, or does not fit the model that it is set up for.

    Returns
    -------
    What the expression is, ``None`` for features in ``obsm``.
    """
    check_kind(data, setup_args)
    check_choice(setup_args["values"], ("auto", "counts", "normalized", "log-normalized"), "values")
    adata, image = data, data if setup_args["image_key"] is not None else None
    if isinstance(data, MuData):
        adata, image = data.mod[setup_args["modality"]], None
        if (name := setup_args["image_modality"]) is not None:
            if name not in data.mod:
                raise KeyError(
                    f"`image_modality` is {name!r}, which is not a modality of the MuData; it has "
                    f"{', '.join(data.mod)}. Pass None for expression only."
                )
            image = data.mod[name]
        elif setup_args["image_key"] is not None:
            raise ValueError("`image_key` is given without `image_modality`; pass both, or neither.")
    names = ("rna_key", "image_key", "values", "slice_key", "spatial_key", "size_factor_key")
    sources = {} if source_registry is None else source_registry["field_registries"]
    if sources:
        _check_source(sources, adata, image, setup_args)
    else:
        check_all_measured(adata)
    kind = check_modalities(adata, image=image, **{name: setup_args[name] for name in names})
    expected = sources[REGISTRY_KEYS.X_KEY]["state_registry"].get(ExpressionField.VALUES_KEY) if sources else kind
    if kind != expected:
        found, needed = (what or "features in `obsm`" for what in (kind, expected))
        raise ValueError(
            f"The model was set up with {needed}, but this data has {found}; give it data of the same kind."
        )
    return kind


def _check_source(sources: dict, adata: AnnData, image: AnnData | None, setup_args: dict[str, Any]) -> None:
    """Raise if new data has other genes, or features of another width, than the model."""
    expression = sources[REGISTRY_KEYS.X_KEY]["state_registry"]
    if ExpressionField.VALUES_KEY in expression:
        check_genes(expression[ExpressionField.COLUMN_NAMES_KEY], adata)
    for key, holder, registered in (
        (setup_args["rna_key"], adata, expression if ExpressionField.VALUES_KEY not in expression else None),
        (setup_args["image_key"], image, sources.get(FIELD_KEYS.IMAGE, {}).get("state_registry")),
    ):
        if registered is None or key is None or holder is None or key not in holder.obsm:
            continue
        expected, found = len(registered["column_names"]), holder.obsm[key].shape[1]
        if found != expected:
            raise ValueError(
                f"`obsm[{key!r}]` has {found} columns, but the model was set up with {expected}; make the features in "
                "the same way as those."
            )
