"""Draw the picture of the README: annotated layers of the cortex beside the domains of one run with the defaults.

python -m benchmarks.accuracy.cortex_figure dlpfc_151673.h5ad [--size-factor-key total] --out docs/_static/cortex.png
"""

import argparse

import anndata
import matplotlib.pyplot as plt
import numpy as np

import spotscape as sps
from benchmarks.common.options import existing_file


def main() -> None:
    """Train, colour domains and layers by depth, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", type=existing_file)
    parser.add_argument("--size-factor-key")
    parser.add_argument("--label-key", default="domain")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()

    adata = anndata.read_h5ad(options.section)
    sps.SPOTSCAPE.setup_anndata(adata, size_factor_key=options.size_factor_key)
    model = sps.SPOTSCAPE(adata, seed=0)
    model.train()
    adata.obsm["X_spotscape"] = model.get_latent_representation()
    adata.obs["layer"] = adata.obs[options.label_key].astype("category")
    layers = adata.obs["layer"].cat.categories
    sps.tl.domains(adata, n_domains=len(layers))

    # Domains have no names, but an order: each takes the colour of its rank in mean depth.
    depth = adata.obs["layer"].cat.codes.where(adata.obs["layer"].notna())
    order = depth.groupby(adata.obs["spatial_domain"], observed=True).mean().sort_values().index
    palette = plt.get_cmap("turbo")(np.linspace(0.93, 0.07, len(layers)))
    colors = {
        "layer": dict(zip(layers, palette, strict=True)),
        "spatial_domain": dict(zip(order, palette, strict=True)),
    }

    scores = sps.metrics.scores(adata.obs["layer"], adata.obs["spatial_domain"])
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.4))
    x, y = adata.obsm["spatial"].T
    titles = ("annotated by experts", f"found by spotscape (ARI {scores['ARI']:.2f}, NMI {scores['NMI']:.2f})")
    for panel, key, title in zip(axes, colors, titles, strict=True):
        shown = [colors[key].get(label, (0.85, 0.85, 0.85, 1)) for label in adata.obs[key]]
        panel.scatter(x, y, c=shown, s=17, marker="h", linewidths=0)
        panel.set_title(title, fontsize=11)
        panel.set_aspect("equal")
        panel.invert_yaxis()
        panel.set_axis_off()
    for panel, key in zip(axes, colors, strict=True):
        handles = [
            plt.Line2D([], [], marker="h", ls="", color=c, label=label, ms=8) for label, c in colors[key].items()
        ]
        panel.legend(handles=handles, frameon=False, loc="center left", bbox_to_anchor=(0.98, 0.5), handletextpad=0.2)
    figure.tight_layout()
    figure.savefig(options.out, dpi=130)


if __name__ == "__main__":
    main()
