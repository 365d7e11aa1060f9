"""How much faster a training step is than one written as the published formulas stand.

Both steps train the same encoder widths on the same section in the same process: the literal one reads and reconstructs
all genes as a dense matrix and builds the matrix of all pairs of spots; ours is ``SPOTSCAPE`` with its defaults.

    python -m benchmarks.scaling.step_cost section.h5ad [--size-factor-key total] [--steps 20]
"""

import argparse
import json
import time

import anndata
import numpy as np
import torch
from anndata import AnnData
from torch import nn
from torch.nn.functional import mse_loss, normalize

import spotscape as sps
from benchmarks.common.stages import peak_gib, write_record
from spotscape.data import SpotDataLoader
from spotscape.graph import normalize_adjacency


class LiteralStep:
    """The published step: dense genes, dense similarities."""

    def __init__(self, expression: torch.Tensor, adjacency: torch.Tensor, n_hidden: int = 256, n_latent: int = 64):
        n_genes = expression.shape[1]
        self.expression, self.adjacency = expression, adjacency
        self.weights = [nn.Linear(n_genes, n_hidden, bias=False), nn.Linear(n_hidden, n_latent, bias=False)]
        self.norms = [nn.Sequential(nn.BatchNorm1d(width), nn.ReLU()) for width in (n_hidden, n_latent)]
        self.decoder = nn.Sequential(
            nn.Linear(n_latent, n_hidden), nn.BatchNorm1d(n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_genes)
        )
        parameters = [p for part in (*self.weights, *self.norms, self.decoder) for p in part.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3)

    def encode(self, expression: torch.Tensor) -> torch.Tensor:
        hidden = expression
        for weight, norm in zip(self.weights, self.norms, strict=True):
            hidden = norm(self.adjacency @ weight(hidden))
        return hidden

    def __call__(self) -> float:
        keep = [(torch.rand(self.expression.shape[1]) > 0.2).float() for _ in range(2)]
        views = [self.encode(self.expression * mask) for mask in keep]
        a, b = map(normalize, views)
        similarity = a @ b.T
        telescope = (mse_loss(similarity, similarity.T) + mse_loss(similarity.T, similarity)) / 2
        reconstruction = sum(mse_loss(self.decoder(view), self.expression) for view in views) / 2
        loss = telescope + 0.1 * reconstruction
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        # What the loss of the package gives for these very views, to show that it is the same number.
        closed = sps.nn.similarity_telescope_loss(*(view.detach() for view in views))
        self.difference = abs(float(closed / telescope.detach()) - 1)
        return float(loss.detach())


def seconds_per_step(step, n_steps: int) -> float:
    """Median time of a step, after two that are not counted."""
    times = []
    for _ in range(n_steps + 2):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return float(np.median(times[2:]))


def compare_steps(
    adata: AnnData,
    *,
    size_factor_key: str | None = None,
    n_steps: int = 20,
    n_literal_steps: int = 3,
    precision: str = "32-true",
) -> dict[str, float]:
    """Time both steps on all spots of a section, ours first, so that the memory up to then is that of ours.

    Parameters
    ----------
    adata
        One slice with raw counts in ``X``; set up here.
    size_factor_key
        Column of ``obs`` with each spot's total over all genes. ``None``: the totals of ``X``.
    n_steps, n_literal_steps
        Number of steps that the median is taken of.
    precision
        That of our step: ``"32-true"`` or ``"bf16-mixed"``.

    Returns
    -------
    Sizes, seconds a step, their ratio, largest memory of the process after each, and the relative difference of the
    telescope loss.
    """
    sps.SPOTSCAPE.setup_anndata(adata, size_factor_key=size_factor_key)
    model = sps.SPOTSCAPE(adata)
    batch = next(iter(SpotDataLoader(model._dataset(model.adata_manager))))
    optimizer = torch.optim.Adam(model.module.train().parameters(), lr=1e-3)

    def our_step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = model.module(batch)[2].loss
        loss.backward()
        optimizer.step()

    ours, our_gib = seconds_per_step(our_step, n_steps), peak_gib()
    size_factors = None if size_factor_key is None else adata.obs[size_factor_key].to_numpy()
    expression = torch.from_numpy(model.preprocessor.log_expression(adata.X, size_factors=size_factors).toarray())
    graph = normalize_adjacency(adata.obsp["spatial_connectivities"])
    parts = map(torch.from_numpy, (graph.indptr, graph.indices, graph.data))
    adjacency = torch.sparse_csr_tensor(*parts, size=graph.shape, check_invariants=False)
    literal_step = LiteralStep(expression, adjacency)
    literal = seconds_per_step(literal_step, n_literal_steps)
    return {
        "spots": adata.n_obs,
        "genes": adata.n_vars,
        "threads": torch.get_num_threads(),
        "literal_seconds_per_step": literal,
        "spotscape_seconds_per_step": ours,
        "ratio": literal / ours,
        "literal_gib": peak_gib(),
        "spotscape_gib": our_gib,
        "relative_difference_of_the_telescope_loss": literal_step.difference,
    }


def main() -> None:
    """Time both steps on a section and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section")
    parser.add_argument("--size-factor-key")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--literal-steps", type=int, default=3)
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--record", metavar="FILE", help="also write the result there")
    options = parser.parse_args()
    result = compare_steps(
        anndata.read_h5ad(options.section),
        size_factor_key=options.size_factor_key,
        n_steps=options.steps,
        n_literal_steps=options.literal_steps,
        precision=options.precision,
    )
    print(json.dumps(result, indent=2))
    if options.record:
        write_record(options.record, result)


if __name__ == "__main__":
    main()
