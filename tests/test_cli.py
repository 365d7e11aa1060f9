import json

import anndata
import numpy as np
import pytest

from spotscape._cli import main
from spotscape.datasets import synthetic_tissue

WRITTEN = {"domains.png", "annotation.png", "embedding.png", "history.png", "result.json", "sections.h5ad", "model"}


@pytest.fixture
def files(tmp_path):
    adata = synthetic_tissue(n_slices=2, n_spots=150, n_genes=60, n_domains=3, seed=0)
    paths = []
    for name in adata.obs["slice"].cat.categories:
        paths.append(str(tmp_path / f"{name}.h5ad"))
        adata[adata.obs["slice"] == name].write_h5ad(paths[-1])
    return paths


def test_run_writes_everything(files, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["run", *files, "--n-domains", "3", "--out", str(out), "--label-key", "domain", "--max-epochs", "40"]
    assert main(arguments) == 0
    assert {path.name for path in out.iterdir()} == WRITTEN
    result = json.loads((out / "result.json").read_text())
    assert set(result["scores"]) == {"all", "slice_1", "slice_2"}
    assert 0 < result["scores"]["all"]["ARI"] <= 1
    adata = anndata.read_h5ad(out / "sections.h5ad")
    assert adata.obsm["X_spotscape"].shape == (300, 64) and adata.obs["spatial_domain"].nunique() == 3
    np.testing.assert_allclose(adata.layers["denoised"].sum(axis=1).mean(), 1e4, rtol=0.05)
    assert "ARI" in capsys.readouterr().out


def test_errors_are_one_line(files, tmp_path, capsys):
    for further, message in (
        (["--layer", "raw"], "'raw' is not in `adata.layers`"),
        (["--label-key", "truth"], "'truth' is not in `adata.obs`"),
        (["--n-domains", "1"], "`n_domains` is 1"),
        (["--n-domains", "300"], "`n_domains` is 300"),
    ):
        out = tmp_path / "out"
        assert main(["run", *files, "--n-domains", "3", "--out", str(out), *further]) == 1
        error = capsys.readouterr().err
        assert error.startswith("spotscape: ") and message in error and "Traceback" not in error
        assert not out.exists()
    assert main(["run", "none.h5ad", "--n-domains", "3", "--out", "x"]) == 1
    assert "There is no file none.h5ad" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["run", *files, "--out", "x"])


def test_small_slices_and_absent_slice_keys_are_refused_before_training(files, tmp_path, capsys):
    anndata.read_h5ad(files[1])[:20].copy().write_h5ad(files[1])
    out = tmp_path / "out"
    for further, message in (
        ([], "Slice 'slice_2' has 20 spots, too few for domains"),
        (["--slice-key", "section"], "`slice_key` is 'section', which is in no file"),
        (["--bin-size", "8"], "`bin_size` is 8, but no path"),
    ):
        assert main(["run", *files, "--n-domains", "3", "--out", str(out), *further]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
        assert not out.exists()


@pytest.mark.slow
def test_demo(tmp_path):
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    assert {path.name for path in (tmp_path / "demo").iterdir()} == WRITTEN
    scores = json.loads((tmp_path / "demo" / "result.json").read_text())["scores"]
    # Principal components with k-means stay below 0.5 on this tissue.
    assert scores["all"]["ARI"] > 0.7
