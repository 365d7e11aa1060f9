"""Tables that a run writes beside its report, for other programs."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from spotscape._report._tables import composition_counts
from spotscape._report._tissue import Tissue

#: Names of spots of Visium and of bins of Visium HD, and of cells of Xenium.
_LOUPE = re.compile(r"([ACGT]{14,18}-\d+|s_\d{3}um_\d+_\d+-\d+)")
_XENIUM = re.compile(r"[a-p]{8}-\d+|\d{1,8}")
#: What is in each file or folder.
CONTENTS = {
    "report.html": "the report: open it in a browser; it needs no network and no other file",
    "domains.csv": "one line a spot: its name, slice, domain and confidence (0 to 1)",
    "composition.csv": "number and share of the spots of each slice in each domain",
    "markers.csv": "genes of each domain, ranked by a rank-sum test against the other domains",
    "denoised.csv": "denoised expression of the genes asked for with --genes, in counts per 10,000",
    "alignment.csv": "positions of the spots before and after the alignment, and similarity to the coupled spots",
    "loupe": "one file a slice for Loupe Browser (import them as categories)",
    "xenium_explorer": "one file a slice for Xenium Explorer (import them as cell groups)",
    "domains.png": "map of the domains",
    "annotation.png": "map of the annotation that was given with --label-key",
    "embedding.png": "representation of the spots in two dimensions",
    "history.png": "training curves",
    "alignment.png": "slices before and after the alignment",
    "sections.h5ad": "data and all results as AnnData, for Python (anndata.read_h5ad) and R (anndataR, zellkonverter)",
    "model": "the trained model, for `spotscape map` and for `spotscape.SPOTSCAPE.load` in Python",
    "config.toml": "settings of this run; `spotscape run --config config.toml --out FOLDER` repeats it",
    "result.json": "scores, versions, run times, notes and the list of all files, for programs",
    "README.txt": "this file",
}


def write_tables(tissue: Tissue, out: Path) -> None:
    """Write ``domains.csv``, ``composition.csv``, ``markers.csv`` if there are any, and files for other programs."""
    table = pd.DataFrame(
        {
            "barcode": tissue.adata.obs_names,
            "slice": pd.Categorical.from_codes(tissue.slices, tissue.slice_names),
            "domain": tissue.domains,
        }
    )
    if tissue.confidence is not None:
        table["confidence"] = tissue.confidence.round(4)
    table.to_csv(out / "domains.csv", index=False)
    counts = composition_counts(tissue)
    composition = counts.stack().rename("n_spots").reset_index()
    composition["share"] = (composition["n_spots"] / composition.groupby("slice")["n_spots"].transform("sum")).round(4)
    composition.to_csv(out / "composition.csv", index=False)
    markers: Any = tissue.adata.uns.get("markers")
    if isinstance(markers, dict) and isinstance(markers.get("table"), pd.DataFrame):
        markers["table"].to_csv(out / "markers.csv", index=False, float_format="%.6g")
    _write_for_browsers(tissue, table, out)


def write_readme(out: Path) -> None:
    """Write ``README.txt``, which says what each file is."""
    there = {path.name for path in out.iterdir()} | {"README.txt", "result.json"}
    width = max(map(len, there)) + 2
    lines = [f"{name:<{width}}{text}" for name, text in CONTENTS.items() if name in there]
    (out / "README.txt").write_text(
        "Results of spotscape. Start with report.html.\n\n" + "\n".join(lines) + "\n", encoding="utf-8"
    )


def _write_for_browsers(tissue: Tissue, table: pd.DataFrame, out: Path) -> None:
    """Files of Loupe Browser and Xenium Explorer, for slices with the names of spots that these programs know."""
    used: set[str] = set()
    for name, rows in table.groupby("slice", sort=False, observed=True):
        # Names that occur in several files have the slice at their end.
        names = rows["barcode"].astype(str).str.removesuffix(f"-{name}")
        for folder, pattern, columns in (
            ("loupe", _LOUPE, ("Barcode", "domain")),
            ("xenium_explorer", _XENIUM, ("cell_id", "group")),
        ):
            if not names.str.fullmatch(pattern).all():
                continue
            (out / folder).mkdir(exist_ok=True)
            file = _file_name(str(name), used)
            known = rows["domain"].notna()
            pd.DataFrame({columns[0]: names[known], columns[1]: rows["domain"][known]}).to_csv(
                out / folder / f"{file}.csv", index=False
            )


def _file_name(name: str, used: set[str]) -> str:
    """Name of a slice with nothing but letters, digits and marks that every system allows in files."""
    base = re.sub(r"[^\w.+-]+", "_", name).strip("._") or "slice"
    file, number = base, 2
    while file.casefold() in used:
        file, number = f"{base}_{number}", number + 1
    used.add(file.casefold())
    return file
