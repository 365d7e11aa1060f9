"""The annotated files that are known, and where files are found."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

#: Environment variable that names the folder of the known files.
DATA_VARIABLE = "SPOTSCAPE_DATA"

Labels = Literal["regions", "cell types"]
Group = Literal["regions", "cell types", "stress", "image"]
#: ``"regions"``: what defaults are judged by, each section once. ``"cell types"``: no regions are annotated.
#: ``"stress"``: very few genes and molecules. ``"image"``: a section of another file again, with its tissue image.
GROUPS: tuple[Group, ...] = ("regions", "cell types", "stress", "image")


@dataclass(frozen=True)
class AnnotatedFile:
    """What is annotated in a file.

    Parameters
    ----------
    file
        Name of the file.
    tissue
        Tissue and, where it is not spots of about 100 micrometres, technology. Sections of one tissue do not count as
        independent evidence for a default.
    slices
        Slices with annotated regions or cell types.
    n_domains
        Number of labels, over all these slices and without those that are dropped.
    group
        One of :data:`GROUPS`.
    labels
        Whether the labels are regions or cell types.
    label_key
        Column of ``obs`` with the labels.
    dropped
        Labels that stand for no annotation.
    size_factor_key
        Column of ``obs`` with the totals over all genes, where the file holds a part of the genes and has it.
    """

    file: str
    tissue: str
    slices: tuple[str, ...]
    n_domains: int
    group: Group = "regions"
    labels: Labels = "regions"
    label_key: str = "domain"
    dropped: tuple[str, ...] = ("undetermined", "unknown")
    size_factor_key: str | None = None

    @property
    def stem(self) -> str:
        """Name of the file without its ending, with which the names of its sections begin."""
        return Path(self.file).stem


def _cell_types(file: str, tissue: str, slices: tuple[str, ...], n_types: int, *not_a_type: str) -> AnnotatedFile:
    dropped = (*AnnotatedFile.dropped, *not_a_type)
    return AnnotatedFile(file, tissue, slices, n_types, "cell types", "cell types", "cell_type", dropped)


_CORTEX, _TUMOUR = "cortex (Visium)", "breast tumour"
_EMBRYOS = tuple(f"embryo{number}_z{depth}" for number in (1, 2, 3) for depth in (2, 5))

KNOWN_FILES = (
    AnnotatedFile("dlpfc_151673_hvg.h5ad", _CORTEX, ("151673",), 7, size_factor_key="total_umi_full"),
    AnnotatedFile("dlpfc_151675_hvg.h5ad", _CORTEX, ("151675",), 7, size_factor_key="total_umi_full"),
    AnnotatedFile("her2st_patientA.h5ad", _TUMOUR, ("A1",), 5),
    AnnotatedFile("her2st_patientB.h5ad", _TUMOUR, ("B1",), 4),
    AnnotatedFile("her2st_patientC.h5ad", _TUMOUR, ("C1",), 3),
    AnnotatedFile("her2st_patientD.h5ad", _TUMOUR, ("D1",), 3),
    AnnotatedFile("starmap_mpfc_3slices.h5ad", "prefrontal cortex (STARmap)", ("BZ5", "BZ9", "BZ14"), 4),
    AnnotatedFile("starmap_visualcortex_1207_7layers.h5ad", "visual cortex (STARmap)", ("BY3_1k",), 7),
    AnnotatedFile("osmfish_sscortex.h5ad", "somatosensory cortex (osmFISH)", ("osmFISH_SScortex",), 11),
    AnnotatedFile("mob_rep12_st.h5ad", "olfactory bulb", ("Rep12",), 4),
    _cell_types("seqfish_embryos_6slices_celltypes.h5ad", "embryo (seqFISH)", _EMBRYOS, 21),
    _cell_types("cosmx_nsclc_2814cells_celltypes.h5ad", "lung tumour (CosMx)", ("Lung_FOV1",), 20),
    # Its expression is not counts.
    _cell_types(
        *("merfish_hypothalamus_2slices.h5ad", "hypothalamus (MERFISH)", ("Bregma_0.21", "Bregma_0.26"), 15),
        "Ambiguous",
    ),
    AnnotatedFile(
        "dlpfc_2donors_4slices_100genes.h5ad",
        _CORTEX,
        ("151507", "151509", "151673", "151675"),
        7,
        group="stress",
        size_factor_key="total_umi_full",
    ),
    AnnotatedFile("her2st_A1_he.h5ad", _TUMOUR, ("A1",), 5, group="image"),
)
#: Files whose slices also count as one section together.
KNOWN_TOGETHER = (("dlpfc_151673_hvg.h5ad", "dlpfc_151675_hvg.h5ad"),)


def data_folder() -> Path | None:
    """Folder that ``SPOTSCAPE_DATA`` names; ``None`` where it is not set.

    Raises
    ------
    FileNotFoundError
        If it names no folder.
    """
    text = os.environ.get(DATA_VARIABLE)
    if not text:
        return None
    if not (folder := Path(text)).is_dir():
        raise FileNotFoundError(f"{DATA_VARIABLE} is {text!r}, which is no folder; set it to the folder of the files.")
    return folder


def find_file(text: str) -> str:
    """Path of a file that is given by its path, or by its name in the folder ``SPOTSCAPE_DATA``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    if Path(text).exists():
        return text
    folder = data_folder()
    if folder is None:
        raise FileNotFoundError(f"There is no file {text}; set {DATA_VARIABLE} to find it there by its name.")
    for name in (text, f"{text}.h5ad"):
        if (folder / name).exists():
            return str(folder / name)
    raise FileNotFoundError(f"There is no file {text}, neither here nor in {folder}.")


def known_files(group: Group) -> list[AnnotatedFile]:
    """Files of a group that are in the folder ``SPOTSCAPE_DATA``; those that are not are printed.

    Raises
    ------
    FileNotFoundError
        If the variable is not set, or the folder has none of them.
    """
    folder = data_folder()
    if folder is None:
        raise FileNotFoundError(f"{DATA_VARIABLE} is not set; set it to the folder of the annotated files.")
    wanted = [known for known in KNOWN_FILES if known.group == group]
    found = [known for known in wanted if (folder / known.file).exists()]
    if not found:
        raise FileNotFoundError(f"{folder} has none of the files of the group {group!r}.")
    if missing := [known.file for known in wanted if known not in found]:
        print(f"Left out, since they are not in {folder}: {', '.join(missing)}", flush=True)
    return found


def tissues_of(sections: Sequence[str]) -> dict[str, str]:
    """Tissue of each section by its name, for example of ``"her2st_patientA A1"``.

    Raises
    ------
    KeyError
        If a section is of no known file.
    """
    found = {}
    for section in sections:
        # A section of one slice has the name of its file; others have more words behind it.
        known = [file.tissue for file in KNOWN_FILES if section.split(" ")[0] == file.stem]
        if not known:
            raise KeyError(f"The section {section!r} is of no file in KNOWN_FILES; add the file there.")
        found[section] = known[0]
    return found
