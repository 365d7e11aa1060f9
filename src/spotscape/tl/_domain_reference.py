"""Domains that new sections can be given: a fitted clustering with names and colours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._validate import check_present, shown

#: Entries of the parameters of domains without which they cannot be applied.
_NEEDED = frozenset({"method", "use_rep", "n_domains", "smoothing"})


@dataclass(frozen=True)
class DomainReference:
    """Domains of a reference.

    Parameters
    ----------
    fitted
        Parameters of the domains with the fitted clustering, as in ``uns``.
    names
        Names of the domains, and of those of each level. The keys are what follows the key of the domains: ``""``, and
        ``"_4"`` for the level of four domains.
    colors
        Their colours, where they have any.
    """

    fitted: Mapping[str, Any]
    names: Mapping[str, list[str]]
    colors: Mapping[str, Any]

    @classmethod
    def of_entry(cls, entry: Any, where: str) -> Self:
        """Domains of an entry of ``uns``, which has no names: they are numbered from 1."""
        fitted = _checked(entry, where)
        sizes = {"": int(fitted["n_domains"])} | {f"_{level}": level for level in levels_of(fitted)}
        return cls(fitted, {end: [str(1 + one) for one in range(size)] for end, size in sizes.items()}, {})

    @classmethod
    def of_data(cls, adata: AnnData, key: str, where: str, argument: str) -> Self:
        """Domains of data, called ``where`` in messages, as they were found and then named."""
        check_present(key, argument, adata.uns, f"{where}.uns")
        fitted = _checked(adata.uns[key], f"{where}.uns[{key!r}]")
        ends = {"": int(fitted["n_domains"])} | {f"_{level}": level for level in levels_of(fitted)}
        names = {end: _names(adata, f"{key}{end}", number, where, argument) for end, number in ends.items()}
        colors = {end: adata.uns[name] for end in ends if (name := f"{key}{end}_colors") in adata.uns}
        return cls(fitted, names, colors)

    def get_state(self) -> dict[str, Any]:
        """State as plain numbers, texts, arrays and containers, without what belongs to single spots."""
        fitted = {name: value for name, value in self.fitted.items() if name != "alternatives"}
        return {
            "fitted": _plain(fitted),
            "names": {end: [str(one) for one in names] for end, names in self.names.items()},
            "colors": {end: [str(one) for one in colors] for end, colors in self.colors.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Domains as they were kept."""
        return cls(state["fitted"], state["names"], state["colors"])


def levels_of(fitted: Mapping[str, Any]) -> list[int]:
    """Numbers of domains of the coarser levels."""
    return np.asarray(fitted.get("levels", []), dtype=int).tolist()


def _checked(fitted: Any, where: str) -> Mapping[str, Any]:
    """Parameters of domains, which must have a fitted clustering."""
    if not isinstance(fitted, Mapping) or not set(fitted) >= _NEEDED:
        raise ValueError(
            f"`{where}` is {shown(fitted)}, not a result of `spotscape.tl.domains`; call it on the reference first."
        )
    if fitted["method"] == "leiden":
        raise ValueError(
            f"`{where}` was found with method 'leiden', whose communities are not defined for new spots; call "
            "`spotscape.tl.domains` with the mixture or k-means, or transfer the domains with "
            "`spotscape.tl.transfer_labels`."
        )
    if "classifier" not in fitted:
        raise ValueError(
            f"`{where}` has no 'classifier', the fitted clustering that earlier releases did not keep; call "
            "`spotscape.tl.domains` again."
        )
    return fitted


def _names(adata: AnnData, column: str, n_domains: int, where: str, argument: str) -> list[str]:
    """Names of the domains: the categories of the column."""
    check_present(column, argument, adata.obs.columns, f"{where}.obs")
    domains = adata.obs[column]
    changed = f"`{where}.obs[{column!r}]` was changed after `spotscape.tl.domains` found these domains"
    if not isinstance(domains.dtype, pd.CategoricalDtype) or len(domains.cat.categories) != n_domains:
        raise ValueError(f"{changed}: it has no {n_domains} categories; call `spotscape.tl.domains` again.")
    sizes = np.asarray(adata.uns.get(column, {}).get("sizes", []))
    # In a part of the reference the sizes differ, so that only the whole can be checked.
    if sizes.sum() == adata.n_obs and (domains.value_counts(sort=False).to_numpy() != sizes).any():
        raise ValueError(
            f"{changed}: its categories have other sizes; keep their order when you rename them, or call "
            "`spotscape.tl.domains` again."
        )
    return domains.cat.categories.tolist()


def _plain(value: Any) -> Any:
    """Numbers, texts, arrays of numbers and containers of them."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind not in "biuf":
        return value.tolist()
    return value
