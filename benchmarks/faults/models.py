"""Small models, and saved models that are damaged by single flipped bits."""

import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData

import spotscape as sps


def small_tissue() -> AnnData:
    """Two small slices."""
    return sps.datasets.synthetic_tissue(n_slices=2, n_spots=150, n_genes=60, n_domains=4, seed=0)


def small_model(name: str, adata: AnnData, seed: int = 0) -> Any:
    """Model that is trained for two epochs."""
    model_class = getattr(sps, name)
    model_class.setup_anndata(adata, layer="counts", slice_key="slice")
    model = model_class(adata, n_hidden=32, n_latent=8, seed=seed)
    model.train(2, enable_progress_bar=False)
    return model


def outcome_of_load(model_class: Any, folder: Path, known: dict[str, Any]) -> str:
    """Which of the known latent representations a saved model computes, or why it cannot be loaded."""
    adata = small_tissue()
    try:
        latent = model_class.load(folder, adata=adata).get_latent_representation()
    except (ValueError, OSError) as error:
        return "damaged" if "damaged" in str(error) else f"{type(error).__name__}: {error}"[:80]
    for name, expected in known.items():
        if np.array_equal(latent, expected):
            return name
    return "another latent representation"


def outcomes_of_flips(model: Any, n_flips: int, seed: int) -> Counter[str]:
    """Flip single bits of a saved model, and count what loading gives.

    Parameters
    ----------
    model
        Trained model.
    n_flips
        Number of bits, each in a fresh copy of the file.
    seed
        Seed of their places.

    Returns
    -------
    Number of each outcome: ``"damaged"``, ``"same"``, or what should not happen.
    """
    places, found = random.Random(seed), Counter[str]()
    known = {"same": model.get_latent_representation()}
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "model"))
        path = Path(folder, "model", "model.pt")
        whole = path.read_bytes()
        for _ in range(n_flips):
            content = bytearray(whole)
            content[places.randrange(len(content))] ^= 1 << places.randrange(8)
            path.write_bytes(content)
            found[outcome_of_load(type(model), path.parent, known)] += 1
    return found
