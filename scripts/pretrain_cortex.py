"""Train the model in ``pretrained/human_cortex`` on two public sections, and draw its figure.

The sections are 151673 and 151675 of Maynard et al. (2021), as ``dlpfc_151673_hvg.h5ad`` and
``dlpfc_151675_hvg.h5ad`` in the folder that the environment variable ``SPOTSCAPE_DATA`` names. Their annotated layers
are used for the figure and the scores alone.
"""

import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import scanpy as sc
from anndata import AnnData

import spotscape as sps

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "pretrained" / "human_cortex"
FIGURE = ROOT / "docs" / "_static" / "pretrained" / "human_cortex.png"
SECTIONS = ("151673", "151675")
N_GENES = 2000

#: For each gene, the name of the domain that it is the strongest marker of.
NAMES = {
    "MYH11": "layer 1 and pia",
    "HPCAL1": "layers 2 and 3",
    "NEFM": "layers 3 and 4",
    "PCP4": "layer 5",
    "KRT17": "layer 6",
    "MOBP": "white matter",
    "IGHG3": "plasma cells",
}

DESCRIPTION = f"""\
Two sections of the human dorsolateral prefrontal cortex (10x Visium, donor Br8100, sections 151673 and 151675 of
[Maynard et al. 2021](https://doi.org/10.1038/s41593-020-00787-0)), {N_GENES:,} highly variable genes.

New sections need symbols of genes as `var_names`, a column `obs["total_counts"]` with the counts of all their genes,
and a column `obs["slice"]` with a name. The domains were found without annotation and named by marker genes:

| domain | strongest marker among known genes |
|---|---|
{{markers}}

*Plasma cells* is a small patch with immunoglobulins, no layer. How well domains agree with the annotated layers of a
section that the model has not seen, if it is trained on the other one alone:

| trained on | domains of | adjusted Rand index |
|---|---|---|
{{scores}}

This model has {{own:.2f}} on its own two sections. It knows one donor: sections of other donors, and other regions of
the cortex, may differ in ways that it has not seen. Look at `get_slice_novelty` and at known markers.
"""


def main() -> int:
    """Train, evaluate and write."""
    sections = read(Path(os.environ["SPOTSCAPE_DATA"]))
    ways = (SECTIONS, SECTIONS[::-1])
    scores = [f"| {known} | {new} | {transferred(sections, known, new):.2f} |" for known, new in ways]
    model, adata = train(sections)
    name_domains(adata)
    draw(adata)
    # With the colours of the figure.
    model.keep_domains()
    model.to_hub(
        MODEL,
        title="Layers of the human cortex",
        description=DESCRIPTION.format(
            markers="\n".join(f"| {name} | *{gene}* |" for gene, name in NAMES.items()),
            scores="\n".join(scores),
            own=sps.metrics.adjusted_rand_index(adata.obs["domain"], adata.obs["spatial_domain"]),
        ),
        license="bsd-3-clause",
        tissues=["brain"],
        data_url="https://github.com/LieberInstitute/HumanPilot",
        overwrite=True,
    )
    print(*scores, sep="\n")
    return 0


def read(folder: Path) -> AnnData:
    """Both sections with all genes that they share."""
    adata = sps.io.read_sections([folder / f"dlpfc_{name}_hvg.h5ad" for name in SECTIONS])
    adata.obs["total_counts"] = adata.obs["total_umi_full"]
    return adata


def train(adata: AnnData) -> tuple[sps.SPOTSCAPE, AnnData]:
    """Model of the most variable genes with the default settings, and the data with seven domains."""
    adata = adata.copy()
    sc.pp.highly_variable_genes(adata, n_top_genes=N_GENES, flavor="seurat_v3", batch_key="slice", subset=True)
    sps.SPOTSCAPE.setup_anndata(adata, slice_key="slice", size_factor_key="total_counts")
    model = sps.SPOTSCAPE(adata)
    model.train(enable_progress_bar=False)
    adata.obsm["X_spotscape"] = model.get_latent_representation()
    sps.tl.domains(adata, n_domains=len(NAMES))
    return model, adata


def transferred(sections: AnnData, known: str, new: str) -> float:
    """Agreement of predicted domains with the layers of a section that the model has not seen."""
    model, _ = train(sections[sections.obs["slice"] == known])
    model.keep_domains()
    mapped = sps.SPOTSCAPE.load_query_data(sections[sections.obs["slice"] == new].copy(), model)
    adata = mapped.adata
    adata.obsm["X_spotscape"] = mapped.get_latent_representation()
    sps.tl.predict_domains(adata, mapped)
    return sps.metrics.adjusted_rand_index(adata.obs["domain"], adata.obs["spatial_domain"])


def name_domains(adata: AnnData) -> None:
    """Name the domains by their markers."""
    sps.tl.markers(adata, "spatial_domain")
    scores = sps.get.markers(adata).pivot(index="gene", columns="domain", values="score")
    names = {scores.loc[gene].idxmax(): name for gene, name in NAMES.items()}
    if len(names) < len(NAMES):
        raise RuntimeError(f"Two of the genes mark the same domain:\n{scores.loc[list(NAMES)].idxmax(axis=1)}")
    adata.obs["spatial_domain"] = adata.obs["spatial_domain"].cat.rename_categories(names)


def draw(adata: AnnData) -> None:
    """Layers above domains."""
    layers = sorted(adata.obs["domain"].dropna().unique())
    adata.obs["domain"] = pd.Categorical(adata.obs["domain"], categories=layers)
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    sps.pl.spatial(
        adata, ["domain", "spatial_domain"], match_colors_to="domain", slice_key="slice", image=False, show=False
    )
    plt.gcf().savefig(FIGURE, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    sys.exit(main())
