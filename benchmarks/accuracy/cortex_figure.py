"""Draw the picture of the README: annotated layers of the cortex beside the domains of one run with the defaults.

python -m benchmarks.accuracy.cortex_figure dlpfc_151673.h5ad [--size-factor-key total] --out docs/_static/cortex.png
"""

import argparse

import anndata
import matplotlib.pyplot as plt

import spotscape as sps
from benchmarks.common.options import existing_file


def main() -> None:
    """Train, find domains, and draw both in the same colours."""
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
    sps.tl.domains(adata, n_domains=adata.obs["layer"].nunique())

    scores = sps.metrics.scores(adata.obs["layer"], adata.obs["spatial_domain"])
    sps.pl.spatial(
        adata,
        ["layer", "spatial_domain"],
        image=False,
        # Domains have no names: each takes the colour of the layer that it overlaps most.
        match_colors_to="layer",
        title=["annotated by experts", f"found by spotscape (ARI {scores['ARI']:.2f})"],
        show=False,
    )
    figure = plt.gcf()
    figure.savefig(options.out, dpi=130)


if __name__ == "__main__":
    main()
