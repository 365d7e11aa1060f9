"""Saving and loading, without code in the file."""

import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from anndata import AnnData
from mudata import MuData
from scvi.model.base import BaseModelClass

from spotscape.model._setup import check_kind
from spotscape.model._storage import plain_history, read_model_file, restored_history


class PlainSavingMixin(BaseModelClass):
    """``save`` and ``load``."""

    def save(self, dir_path: str, prefix: str | None = None, overwrite: bool = False, **kwargs: Any) -> None:
        """Save the model: weights, preprocessing, set-up and history, as numbers and names without code.

        Parameters
        ----------
        dir_path
            Folder, made if need be.
        prefix
            Prefix of the file names.
        overwrite
            Whether the folder may exist already.
        **kwargs
            As :meth:`scvi.model.base.BaseModelClass.save`; ``save_anndata=True`` saves the data beside the model.
        """
        super().save(str(dir_path), prefix=prefix, overwrite=overwrite, **kwargs)

    @classmethod
    def load(
        cls,
        dir_path: str,
        adata: AnnData | MuData | Literal[False] | None = None,
        accelerator: str = "auto",
        device: int | str = "auto",
        prefix: str | None = None,
        backup_url: str | None = None,
        *,
        allow_pickle: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Load a saved model, for the same data, new sections, or none.

        Parameters
        ----------
        dir_path
            Folder that :meth:`save` made.
        adata
            Data to work on, which is set up by the saved rules. ``None``: the data saved beside the model, if any.
            ``False``: none; data can be given later, to the methods that take ``adata``.
        accelerator, device
            Where to put the model.
        prefix
            Prefix of the file names.
        backup_url
            Where to download the file if it is not there.
        allow_pickle
            Whether to read a file that could run code, see the note.
        **kwargs
            As :meth:`scvi.model.base.BaseModelClass.load`.

        Returns
        -------
        The model.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such model, the file is damaged or foreign, or the data has other genes.

        Notes
        -----
        Files of this package hold numbers, names and plain containers, and are refused if they hold anything else,
        since reading that would run whatever code whoever made them put in.
        """
        path = Path(dir_path) / f"{prefix or ''}model.pt"
        if backup_url is not None and not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            urllib.request.urlretrieve(backup_url, path)
        registry = read_model_file(path, allow_pickle=allow_pickle)["attr_dict"]["registry_"]
        saved_as = registry.get("model_name")
        if saved_as != cls.__name__ and saved_as not in (kwargs.get("allowed_classes_names_list") or ()):
            raise ValueError(f"{path} holds a {saved_as} model; load it with `{saved_as}.load`.")
        if adata is not None and adata is not False:
            check_kind(adata, registry["setup_args"])
        model = super().load(
            str(dir_path),
            adata=adata,
            accelerator=accelerator,
            device=device,
            prefix=prefix,
            **kwargs,
        )
        if model.history_ is not None:
            model.history_ = restored_history(model.history_)
        return model

    def _get_user_attributes(self) -> list[tuple[str, Any]]:
        # scvi-tools saves what this returns; two things in it are not plain numbers, names and containers.
        attributes = dict(super()._get_user_attributes())
        registry = attributes["registry_"] = _plain(attributes["registry_"])
        # scvi-tools loses this where a model is given other data than it was set up with.
        registry["setup_method_name"] = "setup_mudata" if "modality" in registry["setup_args"] else "setup_anndata"
        if attributes.get("history_") is not None:
            attributes["history_"] = plain_history(attributes["history_"])
        return list(attributes.items())


def _plain(value: Any) -> Any:
    """Turn mappings of any kind into dicts, all the way down."""
    return {key: _plain(entry) for key, entry in value.items()} if isinstance(value, Mapping) else value
