"""Genes of several files: which are shared, which were measured, and whether they are named alike."""

import re
import warnings
from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._constants import MEASURED_KEY, MEASURED_SLICES_KEY

_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?|FBgn\d+|WBGene\d+")
# Fewer shared genes than this, of the file with fewer genes, are an accident if names written alike would share more.
_FEW = 0.1


def check_gene_names(genes: Sequence[pd.Index], files: Sequence[str]) -> None:
    """Raise ``ValueError`` if files have no genes in common, or name them in different ways."""
    ids = [_share_of_ids(names) for names in genes]
    lowest, highest = int(np.argmin(ids)), int(np.argmax(ids))
    if ids[highest] > 0.5 > ids[lowest]:
        raise ValueError(
            f"{files[highest]} names its genes by identifiers ({genes[highest][0]!r}) and {files[lowest]} by symbols "
            f"({genes[lowest][0]!r}); name them alike in `var_names`, for example with `adata.var_names = "
            "adata.var['gene_ids']`."
        )
    for i in range(1, len(genes)):
        n_common = len(genes[0].intersection(genes[i]))
        smaller = min(len(genes[0]), len(genes[i]))
        if n_common > _FEW * smaller:
            continue
        bare, others = (pd.Index(names.str.replace(r"\.\d+$", "", regex=True)) for names in (genes[0], genes[i]))
        for written, what, help_ in (
            ((bare, others), "with and without version numbers", "remove the versions"),
            (
                (bare.str.upper(), others.str.upper()),
                "in different capitals, as those of human and mouse are",
                "read species apart, or translate the names by orthologues",
            ),
        ):
            if len(written[0].unique().intersection(written[1].unique())) > 0.5 * smaller:
                raise ValueError(
                    f"{files[0]} and {files[i]} write their genes {what} ({genes[0][0]!r}, {genes[i][0]!r}); {help_}."
                )
        if n_common == 0:
            raise ValueError(
                f"{files[0]} and {files[i]} have no gene in common ({genes[0][0]!r}, {genes[i][0]!r}); check that all "
                "use the same gene names."
            )


def shared_genes(genes: Sequence[pd.Index], files: Sequence[str], join: str) -> pd.Index:
    """Genes of the joined data, in the order of the first file; warns of those that are left out or not measured.

    Parameters
    ----------
    genes
        Genes of each file.
    files
        Files, for messages.
    join
        ``"inner"`` or ``"outer"``.
    """
    union = reduce(lambda some, more: some.append(more.difference(some, sort=False)), genes)
    common = genes[0][np.logical_and.reduce([genes[0].isin(names) for names in genes])]
    if len(common) == 0 and join == "inner":
        raise ValueError(f"The {len(files)} files have no gene in common; check that all use the same gene names.")
    n_others = len(union) - len(common)
    if n_others:
        fate = "are left out" if join == "inner" else "are marked in `varm['measured']`"
        warnings.warn(
            f"{n_others} of {len(union)} genes are not in all {len(files)} files and {fate}; the files have "
            f"{', '.join(str(len(names)) for names in genes[:6])}{' ...' if len(genes) > 6 else ''} genes.",
            UserWarning,
            stacklevel=4,
        )
    return common if join == "inner" else union


def measured_genes(section: AnnData, slices: list[str]) -> pd.DataFrame:
    """Whether each slice of a file measured each of its genes, and remove older marks. ``(n_genes, n_slices)``."""
    measured = pd.DataFrame(True, index=section.var_names, columns=slices)
    if MEASURED_KEY in section.var:
        measured = measured.mul(section.var.pop(MEASURED_KEY).astype(bool).to_numpy(), axis=0)
    stored = section.varm.get(MEASURED_SLICES_KEY)
    if isinstance(stored, pd.DataFrame):
        for name in stored.columns.intersection(slices):
            measured[name] &= stored[name].to_numpy(dtype=bool)
    return measured


def _share_of_ids(names: pd.Index) -> float:
    return float(np.mean([_ENSEMBL.fullmatch(str(name)) is not None for name in names]))
