"""Kinds of arguments, each with values that no argument of that kind may have, and the kind of each argument."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

_NOT_INTEGERS: list[Any] = [2.5, "3", True, float("nan"), [2]]
_NOT_NUMBERS: list[Any] = ["0.1", True, float("nan"), float("inf"), [0.5]]

BAD_VALUES: dict[str, list[Any]] = {
    "flag": ["False", "yes", 1, [True]],
    "natural": [-1, *_NOT_INTEGERS],
    "integer": [0, -1, *_NOT_INTEGERS],
    "at least two": [1, 0, -1, *_NOT_INTEGERS],
    "seed": [-1, 2**32, *_NOT_INTEGERS],
    "number": _NOT_NUMBERS,
    "not negative": [-0.5, *_NOT_NUMBERS],
    "positive": [0, -0.5, *_NOT_NUMBERS],
    "share": [-0.1, 1.5, *_NOT_NUMBERS],
    "share above 0": [0.0, -0.1, 1.5, *_NOT_NUMBERS],
    "share below 1": [1.0, -0.1, *_NOT_NUMBERS],
    "choice": ["nonsense", "", 3, ["knn"]],
    "name": ["", 3, ["a"], True],
    # keys of obs, obsm, obsp, uns and layers
    "key": ["no such key", "", 3, ["slice"], True],
    "key or several": ["no such key", "", 3, ["no such key"], []],
    "names": ["no such name", 3.5, ["no such name"], []],
    "genes": ["no such gene", 3, ["no such gene"], []],
    "slices": ["no such slice", ["no such slice"], [], 3.5],
    "indices": [[], [0.5], ["a"], [[1]], [-1], [10**6], "all", 3, [1, 1], np.array([True, False])],
    "text": [3, ["a"], True],
    "palette": [3, "no such palette", ["no such colour"], {}],
    "colour map": [3, "no such map", ["viridis"]],
    "folder": ["", 3, True, ["a"]],
    "save": ["", 3, ["a"]],
    "prefix": ["../other", "folder/", 3, ["a"]],
    "other adata": ["section.h5ad", 3, pd.DataFrame({"a": [1]}), {}],
    "adata": ["section.h5ad", 3, pd.DataFrame({"a": [1]}), {}],
    "mapping": [3, [1], "a"],
    "accelerator": ["no such accelerator", 3, ["cpu"]],
    "devices": [0, -5, 10_000, 1.5, "no such device", True],
    "free": [],
}

KINDS: dict[str, str] = {}
for _kind, _names in {
    "adata": "adata",
    "flag": "copy lazy off_tissue all_features tests legend return_fig center per_slice signed early_stopping "
    "allow_pickle overwrite inplace return_reference_var_names log_normalized cross_sample_positives residual "
    "mask_at_inference redraw_pairs show return_numpy extra_payload_autotune save_anndata",
    "seed": "seed",
    "integer": "n_neighbors ncols n_init n_splits max_iter n_genes n_tiles n_partitions max_epochs patch_size window "
    "early_stopping_patience n_hidden n_latent n_layers n_similar n_permutations n_clusters n_bins max_spots "
    "prototype_refresh n_components min_size max_size bin_size n_pixels cluster_interval n_members",
    "natural": "min_spots n_labels prototype_warmup cluster_start n_dropout_passes",
    "at least two": "batch_size",
    "not negative": "weight_decay early_stopping_min_change telescope_weight reconstruction_weight scaling_weight "
    "prototype_weight masked_weight adjacency_weight kl_weight cluster_weight triplet_weight margin min_counts theta "
    "gamma min_log2_fold_change cluster_tolerance",
    "positive": "target_sum lr radius resolution temperature spot_size point_size tile_size scale_factor scale",
    "number": "vmin vmax",
    "share": "max_p_adjusted min_fraction validation_size threshold scale_power dropout_rate image_weight",
    "share above 0": "train_size batch_norm_momentum mask_rate",
    "share below 1": "edge_drop_rate feature_drop_rate smoothing",
    "choice": "method join values graph schedule positions coupling transform features latent_activation preset "
    "decoder representation masking masked_loss layout rna_correction image_correction slice_correction stain "
    "direction value encoder "
    "modality",
    "name": "key_added",
    "key": "slice_key spatial_key size_factor_key layer use_rep domain_key labels_key sample_key condition replicate "
    "graph_key patches_key image_key rna_key features_key key reference_key donor_key",
    "key or several": "color",
    "names": "domain groups",
    "genes": "genes gene_list",
    "slices": "query",
    "indices": "indices",
    "text": "title",
    "palette": "palette",
    "colour map": "cmap",
    "folder": "dir_path checkpoint_dir cache_dir",
    "save": "save",
    "prefix": "prefix",
    "mapping": "plan_kwargs datasplitter_kwargs preprocessing",
    "accelerator": "accelerator",
    "devices": "devices",
}.items():
    KINDS |= dict.fromkeys(_names.split(), _kind)


def shown_id(value: Any) -> str:
    """Value in the name of a test, the same in every process."""
    return getattr(value, "__name__", "function") if callable(value) else repr(value)[:40].replace("\n", " ")


@dataclass(frozen=True)
class Call:
    """A function that is called with one bad value.

    Parameters
    ----------
    function
        Public function, class or method.
    good
        Arguments without which it cannot be called, besides the data.
    kinds
        Kind of each argument that differs from :data:`KINDS`.
    context
        Further arguments without which the argument would not apply.
    values
        Bad values of single arguments in place of those of their kind.
        The value ``...`` stands for the data themselves.
    nothing
        Arguments whose default is not ``None`` that may be ``None``.
    """

    function: Callable[..., Any]
    good: Mapping[str, Any] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    values: Mapping[str, list[Any]] = field(default_factory=dict)
    nothing: str = ""

    def parameters(self) -> dict[str, inspect.Parameter]:
        """Parameters by name, without those that take any further ones."""
        found = inspect.signature(self.function).parameters
        return {
            name: parameter
            for name, parameter in found.items()
            if name != "self" and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        }

    def kind(self, name: str) -> str:
        """Kind of an argument."""
        return self.kinds[name] if name in self.kinds else KINDS[name]

    def cases(self) -> Iterator[tuple[str, Any]]:
        """Each argument with each bad value."""
        for name, parameter in self.parameters().items():
            if name in self.values:
                yield from ((name, value) for value in self.values[name])
            elif (kind := self.kind(name)) != "free":
                yield from ((name, value) for value in BAD_VALUES[kind])
                if parameter.default is not None and name not in self.nothing.split():
                    yield name, None
