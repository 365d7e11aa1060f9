"""What arguments of public functions have to be, by their names: a name means the same in every function."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from spotscape._validate import (
    Rule,
    check_flag,
    check_mapping,
    check_name,
    check_number,
    check_positive,
    check_seed,
    check_text,
    integer,
    number,
    optional,
    shown,
)


def check_call(function: Callable[..., Any], values: Mapping[str, Any], **rules: Rule) -> None:
    """Check the arguments of a public function, before it does anything else.

    An argument whose default is ``None`` may be ``None``. Arguments that have no rule are left to the function.

    Parameters
    ----------
    function
        The function, whose signature has the defaults.
    values
        Its arguments by name.
    rules
        Rules of arguments that mean something else in this function.

    Raises
    ------
    TypeError, ValueError
        If an argument violates its rule.
    """
    for name, parameter in inspect.signature(function).parameters.items():
        rule = rules.get(name) or _RULES.get(name)
        if rule is not None and not (values[name] is None and parameter.default is None):
            rule(values[name], name)


def check_adata(value: Any, name: str) -> None:
    """Raise unless ``value`` is an AnnData with spots."""
    if not isinstance(value, AnnData):
        raise TypeError(
            f"`{name}` is {shown(value)}; pass an AnnData, which `spotscape.io.read_sections` reads from files."
        )
    if not value.n_obs:
        raise ValueError(f"`{name}` has no spots; pass an AnnData with at least one.")


def check_table(value: Any, name: str) -> None:
    """Raise unless ``value`` is a data frame with rows."""
    if not isinstance(value, pd.DataFrame):
        raise TypeError(f"`{name}` is {shown(value)}; pass a data frame.")
    if value.empty:
        raise ValueError(f"`{name}` has no rows; pass a data frame with at least one.")


def check_save(value: Any, name: str) -> None:
    """Raise unless ``value`` says whether, or into which file, a figure is saved."""
    if not isinstance(value, bool | Path) and not (isinstance(value, str) and value):
        raise TypeError(f"`{name}` is {shown(value)}; pass True, or the name of a file.")


def check_folder(value: Any, name: str) -> None:
    """Raise unless ``value`` can be the path of a folder."""
    if not isinstance(value, Path) and not (isinstance(value, str) and value):
        raise TypeError(f"`{name}` is {shown(value)}; pass the path of a folder.")


def check_color_map(value: Any, name: str) -> None:
    """Raise unless ``value`` is the name of a colour map of matplotlib, or a colour map."""
    from matplotlib import colormaps
    from matplotlib.colors import Colormap

    if not isinstance(value, Colormap) and not (isinstance(value, str) and value in colormaps):
        raise ValueError(
            f"`{name}` is {shown(value)}, which is not a matplotlib colour map; pass one such as 'viridis'."
        )


def check_palette(value: Any, name: str) -> None:
    """Raise unless ``value`` is a colour map, or colours in a list or by category."""
    from matplotlib.colors import is_color_like

    if isinstance(value, str):
        return check_color_map(value, name)
    if not isinstance(value, Mapping | Sequence) or not len(value):
        raise TypeError(f"`{name}` is {shown(value)}; pass a colour map, a list of colours, or {{category: colour}}.")
    for color in value.values() if isinstance(value, Mapping) else value:
        if not is_color_like(color):
            raise ValueError(
                f"`{name}` has {shown(color)}, which is not a matplotlib colour; pass one such as '#0072B2'."
            )
    return None


def positive_or_by_slice(value: Any, name: str) -> None:
    """Raise unless ``value`` is a positive number, or a mapping of slices to such numbers."""
    if isinstance(value, Mapping):
        for one, part in value.items():
            check_positive(part, f"{name}[{one!r}]")
    else:
        check_positive(value, name)


def name_of(what: str) -> Rule:
    """The name of something."""
    return lambda value, name: check_name(value, name, what)


def _parse(rules: Mapping[str, Rule]) -> dict[str, Rule]:
    return {name: rule for names, rule in rules.items() for name in names.split()}


_RULES = _parse(
    {
        "adata": check_adata,
        "copy tests legend return_fig show center per_slice signed lazy off_tissue all_features": check_flag,
        "seed": check_seed,
        "n_neighbors n_init max_iter n_components n_genes n_permutations n_tiles n_partitions max_spots n_bins ncols "
        "min_size max_size bin_size window": integer(1),
        "n_splits n_clusters": integer(1),
        "min_spots n_labels": integer(0),
        "radius resolution spot_size point_size": check_positive,
        "tile_size scale_factor": positive_or_by_slice,
        "scale": check_positive,
        "theta min_counts": number(0),
        "max_p_adjusted min_fraction threshold": number(0, 1),
        "vmin vmax min_log2_fold_change": check_number,
        "key_added": name_of("the result"),
        "key": name_of("a result in `adata.uns`"),
        "title": check_text,
        "save": check_save,
        "cmap": check_color_map,
        "palette": check_palette,
        "cache_dir": check_folder,
    }
)

#: Rules of arguments that every model has.
MODEL_RULES: dict[str, Rule] = {
    "seed": optional(check_seed),
    "preprocessing": optional(check_mapping),
    "extra_payload_autotune": check_flag,
}
