"""Sharing a model on the Hugging Face hub, in the format of scvi-tools."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spotscape._validate import Rule, check_arguments, check_flag, check_text, optional, shown
from spotscape._write import explained, whole_folder
from spotscape.model._docs import documented
from spotscape.model._files import check_new, checked_place
from spotscape.model._repr import n_epochs

_CARD = """\
# {title}

{description}

## Model

[{name}](https://spotscape.readthedocs.io) of spotscape {spotscape}, a model of spatially resolved transcriptomics that
is built on scvi-tools. It gives every spot a latent representation that reflects its neighbourhood. No labels were used
in training.

{model}

| | |
|---|---|
{training}

## Use

```python
from scvi.hub import HubModel  # pip install "spotscape[hub]"

hub_model = HubModel.pull_from_huggingface_hub("OWNER/NAME")
hub_model.load_model(adata=adata)  # sections with counts and coordinates, as below
adata.obsm["{use_rep}"] = hub_model.model.get_latent_representation()
```
{domains}
Set-up of the training data, which is repeated on new data:

{setup}

New sections may have other slices. If they have other genes, call
`spotscape.{name}.{prepare}(adata, hub_model.local_dir)` first. The model warns of sections that are unlike
its training data (`get_slice_novelty`).

## Noticed in the training data

{findings}
"""

_DOMAINS = """
The model keeps the domains of its training data: {names}. New sections are given the same domains, with a
confidence for each spot:

```python
import spotscape as sps

sps.tl.predict_domains(adata, hub_model.model)
```
"""


class HubMixin:
    """Method that writes a model for the hub."""

    if TYPE_CHECKING:
        adata: Any
        registry_: dict[str, Any]
        history_: Any
        _model_summary_string: str

        domains_: dict[str, Any] | None

        def _check_if_trained(self, *, warn: bool) -> None: ...
        def _count_slices(self) -> int: ...
        def _write_files(self, folder: Path, prefix: str, kwargs: dict[str, Any]) -> None: ...
        def get_data_findings(self) -> Any: ...

    @documented
    def to_hub(
        self,
        dir_path: str | Path,
        *,
        title: str | None = None,
        description: str = "",
        license: str = "cc-by-4.0",
        tissues: Sequence[str] = (),
        data_url: str | None = None,
        save_anndata: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Write the model with the card and the metadata that :class:`scvi.hub.HubModel` reads and uploads.

        Domains that :meth:`keep_domains` has kept are written with the model, and the card names them.
        ``HubModel(dir_path).push_to_huggingface_hub("OWNER/NAME", repo_create=True)`` then uploads the folder. The card
        names neither slices nor donors. The helper of scvi-tools for cards knows the models of scvi-tools only.

        Parameters
        ----------
        dir_path
            Folder to write.
        title
            Title of the card. ``None``: the name of the model class.
        description
            Text about the data and their source, in Markdown.
        license
            Licence of the model, an identifier of the hub such as ``"cc-by-4.0"`` or ``"mit"``.
        tissues
            Tissues of the training data, as tags of the card.
        data_url
            Address of the training data, if they are public. ``None``: not given.
        save_anndata
            Whether to write the data too. They are then public with the model.
        overwrite
            Whether to replace a folder that exists.

        Raises
        ------
        RuntimeError
            If the model has not been trained.
        TypeError, ValueError
            If an argument is wrong, or the folder exists and ``overwrite`` is ``False``.
        ImportError
            If huggingface-hub is not installed, which the extra ``spotscape[hub]`` installs.

        %(hub_example)s
        """
        card_class, metadata_class, names = _import_hub()
        self._check_if_trained(warn=False)
        folder, _ = checked_place(dir_path, None)
        check_arguments(locals(), _RULES)
        if save_anndata and self.adata is None:
            raise ValueError("`save_anndata` is True, but the model has no data to save; leave it out.")
        check_new(folder, overwrite)
        name = type(self).__name__
        metadata = metadata_class(
            scvi_version=version("scvi-tools"),
            anndata_version=version("anndata"),
            model_cls_name=name,
            training_data_url=data_url,
            model_parent_module=type(self).__module__.partition(".")[0],
        )
        tags = ["spatial transcriptomics", f"model_cls_name:{name}", f"scvi_version:{metadata.scvi_version}"]
        tags += [f"anndata_version:{metadata.anndata_version}", "modality:rna", *(f"tissue:{one}" for one in tissues)]
        front = {"license": license, "library_name": names.HF_LIBRARY_NAME, "tags": tags}
        card = card_class(f"---\n{_yaml(front)}---\n\n{self._card_text(title or name, description)}")
        with whole_folder(folder) as unfinished, explained(folder):
            check_new(folder, overwrite)
            self._write_files(unfinished, "", {"save_anndata": save_anndata})
            metadata.save(str(unfinished / names.METADATA_FILE_NAME))
            card.save(unfinished / names.MODEL_CARD_FILE_NAME)

    def _card_text(self, title: str, description: str) -> str:
        name = type(self).__name__
        rows = {"epochs": n_epochs(self.history_)}
        if self.adata is not None:
            rows |= {"spots": self.adata.n_obs, "genes": self.adata.n_vars, "slices": self._count_slices()}
        known = self.domains_
        use_rep = f"X_{name.lower()}" if known is None else known["fitted"]["use_rep"]
        messages = self.get_data_findings()["message"].tolist()
        # Keys of columns and layers say how to prepare new data; the names of slices stay out.
        setup = {key: value for key, value in self.registry_["setup_args"].items() if value is not None}
        return _CARD.format(
            title=title,
            description=description.strip() or "No description was given.",
            name=name,
            use_rep=use_rep,
            domains=_DOMAINS.format(names=_names(known["names"][""])) if known else "",
            prepare="prepare_query_mudata" if "modality" in setup else "prepare_query_anndata",
            spotscape=version("spotscape"),
            model=f"{self._model_summary_string.strip()}.",
            training="\n".join(f"| {label} | {value:,} |" for label, value in rows.items()),
            setup="\n".join(f"- `{key}`: `{value!r}`" for key, value in setup.items()),
            findings=f"{len(messages)} remark(s), see `get_data_findings()`." if messages else "Nothing.",
        )


def _check_tissues(value: Any, name: str) -> None:
    """Raise ``TypeError`` unless ``value`` is a list of texts."""
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"`{name}` is {shown(value)}; pass a list of names, such as ['brain'].")


_RULES: dict[str, Rule] = {
    "description license": check_text,
    "title data_url": optional(check_text),
    "tissues": _check_tissues,
    "save_anndata overwrite": check_flag,
}


def _names(domains: Sequence[str]) -> str:
    """Names of domains as a list in a sentence."""
    return ", ".join(f"*{name}*" for name in domains)


def _import_hub() -> tuple[Any, Any, Any]:
    """Card, metadata and file names of the hub."""
    try:
        from huggingface_hub import ModelCard
        from scvi.hub import HubMetadata
        from scvi.hub._constants import _SCVI_HUB
    except ImportError as error:
        raise ImportError(
            'Writing a model for the hub needs huggingface-hub; run `pip install "spotscape[hub]"`.'
        ) from error
    return ModelCard, HubMetadata, _SCVI_HUB


def _yaml(values: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
