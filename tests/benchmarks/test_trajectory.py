"""The benchmark of trajectories, on a small tissue."""

import numpy as np
import pytest

import spotscape as sps
from benchmarks.trajectory import __main__ as trajectory
from benchmarks.trajectory.scores import adjacent_edges
from benchmarks.trajectory.tables import results_of

pytest.importorskip("igraph")


def test_strong_edges_between_neighbours_are_counted():
    connectivities = np.zeros((4, 4))
    for row, column, value in ((0, 1, 0.9), (1, 2, 0.8), (0, 2, 0.7), (2, 3, 0.6)):
        connectivities[row, column] = connectivities[column, row] = value
    assert adjacent_edges(connectivities, np.array([0, 1, 2, 3])) == 2
    # Domains 1 and 2 are of one layer; between layers 0 and 5 there is none.
    assert adjacent_edges(connectivities, np.array([0, 5, 5, 6])) == 3


def test_run_and_resume(tmp_path, monkeypatch, capsys):
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=80, n_genes=40, n_domains=3, seed=0)
    adata.write_h5ad(tmp_path / "tissue.h5ad")
    monkeypatch.setattr(trajectory, "trained", lambda section, seed, name: np.log1p(section.adata.X.toarray()))
    monkeypatch.setattr("benchmarks.trajectory.__main__.N_NEIGHBORS", (30, 20))
    first = sorted(adata.obs["domain"].unique())[0]
    arguments = [str(tmp_path / "tissue.h5ad"), "--root", first, "--seeds", "1", "--out", str(tmp_path / "out")]
    assert trajectory.main(arguments) == 0
    # Two slices and both together, by a model and by components.
    assert len(capsys.readouterr().out.splitlines()) == 6
    table = results_of(tmp_path / "out").read()
    assert len(table) == 24 and table["spearman"].between(0, 1).all() and (table["n_edges"] == 2).all()
    assert (table["adjacent"] <= table["n_edges"]).all()
    summary = (tmp_path / "out" / "summary.md").read_text()
    assert len(summary.splitlines()) == 8 and "Spearman, 20 neighbours" in summary
    assert (tmp_path / "out" / "trajectory.png").exists()
    assert trajectory.main(arguments) == 0 and not capsys.readouterr().out
    with pytest.raises(SystemExit, match="other settings"):
        trajectory.main([*arguments, "--order", "b,a"])
