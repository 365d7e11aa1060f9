"""Saving and loading of models. Files are replaced as a whole, read once, and never run code."""

import inspect
import os
import warnings
from pathlib import Path
from typing import Any, Literal, Self

import anndata
import mudata
import torch
from anndata import AnnData
from mudata import MuData
from scvi.data import AnnDataManager
from scvi.model._utils import parse_device_args
from scvi.model.base import BaseModelClass

from spotscape._validate import check_flag, check_name, unknown_argument
from spotscape._write import explained, locked, recover, whole_file, whole_folder
from spotscape.model import _save_load
from spotscape.model._devices import check_accelerator, check_device, on_processors
from spotscape.model._docs import documented
from spotscape.model._setup import check_kind

_MODEL, _ADATA, _MDATA = "model.pt", "adata.h5ad", "mdata.h5mu"
_SAVE_ARGUMENTS = {"save_anndata", "save_kwargs", "legacy_mudata_format"}
_LOAD_ARGUMENTS = {"allowed_classes_names_list"}


class FilesMixin:
    """Methods that write and read model files."""

    @documented
    def save(self, dir_path: str | Path, prefix: str | None = None, overwrite: bool = False, **kwargs: Any) -> None:
        """Save the weights, preprocessing, setup arguments and training history. The file contains no code.

        The files get their names when they are complete and on the disk. If saving fails or the process is killed, an
        older model in the folder stays as it was. Other files in the folder are kept.

        Parameters
        ----------
        dir_path
            Folder. It is created if it does not exist.
        prefix
            Prefix of the file names.
        overwrite
            Whether the folder may already exist.
        **kwargs
            See :meth:`scvi.model.base.BaseModelClass.save`. ``save_anndata=True`` also saves the data.

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong, or the folder exists and ``overwrite`` is ``False``.
        OSError
            If the files cannot be written, for example because the disk is full.

        %(save_example)s
        """
        folder, prefix = checked_place(dir_path, prefix)
        check_flag(overwrite, "overwrite")
        with_data = kwargs.get("save_anndata", False)
        check_flag(with_data, "save_anndata")
        unknown = kwargs.keys() - _SAVE_ARGUMENTS
        if unknown and not with_data:
            raise unknown_argument(self.save, sorted(unknown)[0], _SAVE_ARGUMENTS)
        if with_data and self.adata is None:  # type: ignore[attr-defined]
            raise ValueError("The model has no data to save; pass `save_anndata=False`.")
        recover(folder)
        check_new(folder, overwrite)
        if folder.exists() and not with_data:
            _warn_of_old_data(folder, prefix)
            with locked(folder), whole_file(folder / f"{prefix}{_MODEL}") as file:
                self._write_files(file.parent, prefix, kwargs)
            return
        with whole_folder(folder) as unfinished, explained(folder):
            # Another process may have saved a model there while this one waited.
            check_new(folder, overwrite)
            self._write_files(unfinished, prefix, kwargs)

    def _write_files(self, folder: Path, prefix: str, kwargs: dict[str, Any]) -> None:
        super().save(str(folder), prefix=prefix, overwrite=True, **kwargs)  # type: ignore[misc]
        _save_load.add_checksum(folder / f"{prefix}{_MODEL}")

    @classmethod
    @documented
    def load(
        cls,
        dir_path: str | Path,
        adata: AnnData | MuData | Literal[False] | None = None,
        accelerator: str = "auto",
        device: int | str = "auto",
        prefix: str | None = None,
        backup_url: str | None = None,
        *,
        allow_pickle: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Load a saved model.

        Parameters
        ----------
        dir_path
            Folder that :meth:`save` wrote.
        adata
            Data of the model, set up with the saved arguments. ``None``: the data saved with the model, if any.
            ``False``: no data. New data can be passed to the methods that take ``adata``.
        %(load_files)s
        **kwargs
            ``allowed_classes_names_list``: names of further classes whose models may be loaded.

        Returns
        -------
        The model.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no model, the file is damaged or not of this package, or the genes of the data differ.

        %(load_example)s
        """
        if unknown := kwargs.keys() - _LOAD_ARGUMENTS:
            raise unknown_argument(cls.load, sorted(unknown)[0], _LOAD_ARGUMENTS)
        folder, prefix = checked_place(dir_path, prefix)
        check_flag(allow_pickle, "allow_pickle")
        if backup_url is not None:
            check_name(backup_url, "backup_url", "a file to download, or None")
        check_accelerator(accelerator, "accelerator")
        check_device(device, accelerator)
        # Lightning counts processors, and does not number them.
        device = "auto" if on_processors(accelerator) else device
        *_, torch_device = parse_device_args(accelerator, device, return_device="torch", validate_single_device=True)
        path = folder / f"{prefix}{_MODEL}"
        identity = _identity(folder)
        contents = _save_load.read_model_file(path, allow_pickle=allow_pickle, backup_url=backup_url)
        attributes, weights = contents["attr_dict"], contents["model_state_dict"]
        registry, init_params = attributes.pop("registry_"), attributes.pop("init_params_")
        _save_load.check_class(path, registry, cls.__name__, kwargs.get("allowed_classes_names_list"))
        arguments = init_params["non_kwargs"] | {
            name: value for entry in init_params.get("kwargs", {}).values() for name, value in entry.items()
        }
        if unknown := arguments.keys() - inspect.signature(cls).parameters.keys():
            raise ValueError(
                f"{path} has the argument {sorted(unknown)[0]!r}, which this release of {cls.__name__} does not know; "
                "update with `pip install --upgrade spotscape`."
            )
        data = _read_data(folder, prefix, registry) if adata is None else adata
        if adata is None and backup_url is None and _identity(folder) != identity:
            # Another process has replaced the model and its data in the meantime.
            return cls.load(folder, None, accelerator, device, prefix, allow_pickle=allow_pickle, **kwargs)
        if data is not False and data is not None:
            check_kind(data, registry["setup_args"])
            method = "setup_mudata" if "modality" in registry["setup_args"] else "setup_anndata"
            getattr(cls, method)(data, source_registry=registry, **registry["setup_args"])
        else:
            data = None
        model: Any = cls(data, registry=registry, **arguments)  # type: ignore[call-arg]
        for name, value in attributes.items():
            setattr(model, name, value)
        model.module.on_load(model, pyro_param_store=weights.pop("pyro_param_store", None))
        try:
            model.module.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(
                f"{path} has weights that do not fit its model, so it is damaged or was changed; save the model again."
            ) from error
        if not all(torch.isfinite(weight).all() for weight in model.module.parameters()):
            raise ValueError(f"{path} has weights that are not finite, so it is damaged; save the model again.")
        model.to_device(torch_device)
        model.module.eval()
        if data is not None:
            model._validate_anndata(data)
        if model.history_ is not None:
            model.history_ = _save_load.restored_history(model.history_)
        return model

    @staticmethod
    def load_registry(dir_path: str | Path, prefix: str | None = None, *, allow_pickle: bool = False) -> dict:
        """Registry of a saved model, read without running code.

        Parameters
        ----------
        dir_path, prefix, allow_pickle
            As in :meth:`load`.

        Returns
        -------
        Registry of the data that the model was set up with.

        Examples
        --------
        >>> import spotscape as sps
        >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
        >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
        >>> sps.SPOTSCAPE(adata).save("my_model")
        >>> sps.SPOTSCAPE.load_registry("my_model")["setup_args"]["layer"]
        'counts'
        """
        folder, prefix = checked_place(dir_path, prefix)
        check_flag(allow_pickle, "allow_pickle")
        contents = _save_load.read_model_file(folder / f"{prefix}{_MODEL}", allow_pickle=allow_pickle)
        return contents["attr_dict"]["registry_"]

    @staticmethod
    def view_setup_args(dir_path: str | Path, prefix: str | None = None, *, allow_pickle: bool = False) -> None:
        """Print the set-up arguments of a saved model, read without running code.

        Parameters
        ----------
        dir_path, prefix, allow_pickle
            As in :meth:`load`.

        Examples
        --------
        >>> import spotscape as sps
        >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
        >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
        >>> sps.SPOTSCAPE(adata).save("my_model")
        >>> sps.SPOTSCAPE.view_setup_args("my_model")  # doctest: +ELLIPSIS
        Setup via `SPOTSCAPE.setup_anndata` with arguments:
        ...
        """
        # scvi-tools uses it without importing it.
        import rich.pretty  # noqa: F401

        AnnDataManager.view_setup_method_args(FilesMixin.load_registry(dir_path, prefix, allow_pickle=allow_pickle))

    @classmethod
    def convert_legacy_save(cls, dir_path: str | Path, output_dir_path: str | Path, *_: Any, **__: Any) -> None:
        """Refuse to convert files from before scvi-tools 0.15, which can only be read by running their code.

        Parameters
        ----------
        dir_path, output_dir_path
            As in :meth:`scvi.model.base.BaseModelClass.convert_legacy_save`.

        Raises
        ------
        ValueError
            Always. No model of this package was ever saved in that format.

        Examples
        --------
        >>> import spotscape as sps
        >>> sps.SPOTSCAPE.convert_legacy_save("old", "new")
        Traceback (most recent call last):
            ...
        ValueError: The files in 'old' could run code when they are read, and no model of this package has that ...
        """
        raise ValueError(
            f"The files in {str(dir_path)!r} could run code when they are read, and no model of this package has that "
            "format; load models that `save` wrote with `load`."
        )

    def _get_user_attributes(self) -> list[tuple[str, Any]]:
        return _save_load.plain_attributes(dict(super()._get_user_attributes()))  # type: ignore[misc]


def read_reference(reference_model: str | Path | BaseModelClass) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments and registry of a model, or of a saved model, which is read without building the model."""
    if isinstance(reference_model, BaseModelClass):
        return reference_model.init_params_, reference_model.registry_
    folder, _ = checked_place(reference_model, None, "reference_model")
    attributes = _save_load.read_model_file(folder / _MODEL)["attr_dict"]
    return attributes["init_params_"], attributes["registry_"]


def checked_place(dir_path: Any, prefix: Any, name: str = "dir_path") -> tuple[Path, str]:
    """Folder and prefix of model files."""
    if not isinstance(dir_path, (str, os.PathLike)) or not str(dir_path):
        raise TypeError(f"`{name}` is {dir_path!r}; pass the path of a folder.")
    if prefix is not None and not isinstance(prefix, str):
        raise TypeError(f"`prefix` is {prefix!r}; pass the beginning of the file names, or None.")
    if prefix and (set(prefix) & {"/", "\\", "\0"} or prefix.startswith(".")):
        raise ValueError(f"`prefix` is {prefix!r}; pass the beginning of the file names, and folders in `{name}`.")
    return Path(dir_path), prefix or ""


def check_new(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; pass the path of a folder.")
    if folder.exists() and not overwrite:
        raise ValueError(f"{folder} already exists; pass another folder, or `overwrite=True`.")


def _warn_of_old_data(folder: Path, prefix: str) -> None:
    for name in (f"{prefix}{_ADATA}", f"{prefix}{_MDATA}"):
        if (folder / name).exists():
            warnings.warn(
                f"{folder / name} was not saved with this model but is kept, and `load` reads it where it is given no "
                "data; pass `save_anndata=True`, or remove it.",
                UserWarning,
                stacklevel=3,
            )


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _read_data(folder: Path, prefix: str, registry: dict[str, Any]) -> AnnData | MuData | None:
    """Data saved with a model, if there are any."""
    is_mudata = "modality" in registry["setup_args"]
    path = folder / f"{prefix}{_MDATA if is_mudata else _ADATA}"
    if not path.exists():
        warnings.warn(
            f"Save path contains no saved {'mudata' if is_mudata else 'anndata'} and no adata was passed. Model will "
            "be loaded without data.",
            UserWarning,
            stacklevel=3,
        )
        return None
    try:
        return mudata.read_h5mu(path) if is_mudata else anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged; pass the data of the model in `adata`, or False for none.") from error
