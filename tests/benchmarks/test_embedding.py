"""The comparison of an embedding with expression reads sections, scores annotated spots and prints a table."""

import numpy as np
import pandas as pd

from benchmarks.cross_sample import embedding
from spotscape.datasets import synthetic_tissue


def test_table_of_two_sections_of_which_one_is_annotated(tmp_path, monkeypatch, capsys):
    asked = []

    def represent(adata, seed, *, key, correction):
        asked.append((seed, key, correction))
        return adata.obsm["X_embedding"] if key else adata.obsm["X_embedding"][::-1].copy()

    monkeypatch.setattr(embedding, "represent", represent)
    files = []
    for name in ("a", "b"):
        adata = synthetic_tissue(n_slices=1, n_spots=80, n_genes=40, n_domains=3, seed=0)
        adata.obsm["X_embedding"] = 9.0 * pd.get_dummies(adata.obs["domain"]).to_numpy(float)
        adata.obsm["X_embedding"] += 0.1 * np.random.default_rng(0).normal(size=(80, 3))
        if name == "b":
            adata.obs["domain"] = np.nan
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
        files.append(str(tmp_path / f"{name}.h5ad"))
    embedding.main(["--sections", f"both={','.join(files)}", "--key", "X_embedding", "--seeds", "3"])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| both"] * 7
    found = {row.split(" | ")[1]: row.split(" | ")[2] for row in rows[2:]}
    assert found["SPOTSCAPE of `X_embedding`, correction harmony"].startswith("1.00")
    assert float(found["SPOTSCAPE of expression, correction harmony"].split()[0]) < 0.9
    assert {(3, "X_embedding", "centre"), (3, None, "none")} <= set(asked)
