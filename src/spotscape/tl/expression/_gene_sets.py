"""Gene sets from files and mappings."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from spotscape._validate import shown

GeneSets = str | Path | Mapping[str, Iterable[str]]


def read_gene_sets(gene_sets: GeneSets) -> dict[str, list[str]]:
    """Read gene sets.

    Parameters
    ----------
    gene_sets
        GMT file: one set per line, with its name, a description and the genes, separated by tabs. Or a mapping from
        names to genes.

    Returns
    -------
    Genes of each set, each once, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line is not of this format, or there is no set.
    """
    if not gene_sets or not isinstance(gene_sets, str | Path | Mapping):
        raise TypeError(f"`gene_sets` is {shown(gene_sets)}; pass a GMT file, or a mapping of names to genes.")
    if isinstance(gene_sets, Mapping):
        for name, genes in gene_sets.items():
            if isinstance(genes, str):
                raise ValueError(f"`gene_sets[{name!r}]` is the text {genes!r}; pass a list of genes.")
        sets = {str(name): list(dict.fromkeys(map(str, genes))) for name, genes in gene_sets.items()}
    else:
        sets = _read_gmt(Path(gene_sets))
    if not sets:
        raise ValueError(f"`gene_sets` is {str(gene_sets)!r}, which has no gene set; pass a file with at least one.")
    return sets


def _read_gmt(path: Path) -> dict[str, list[str]]:
    if not path.is_file():
        raise FileNotFoundError(f"`gene_sets` is {str(path)!r}, which is no file; pass the path of a GMT file.")
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        name, *fields = [field.strip() for field in line.split("\t")]
        if not name or len(fields) < 2:
            raise ValueError(
                f"Line {number} of {str(path)!r} has {len(fields) + 1} field(s); a line of a GMT file has a name, a "
                "description and genes, separated by tabs."
            )
        if name in sets:
            raise ValueError(f"Line {number} of {str(path)!r} names the gene set {name!r} again; rename one of them.")
        sets[name] = list(dict.fromkeys(filter(None, fields[1:])))
    return sets
