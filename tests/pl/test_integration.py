"""Biological conservation against slice mixing."""

import numpy as np
import pandas as pd
import pytest

from spotscape import pl
from spotscape.pl._integration import pareto_front


@pytest.fixture
def table():
    rows = [
        ("PCA", 0, 0.8, 0.1),
        ("ours", 0, 0.7, 0.6),
        ("ours", 1, 0.9, 0.8),
        ("worse", 0, 0.5, 0.5),
        ("mixer", 0, 0.2, 0.9),
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "bio", "batch"])


def test_pareto_front_equals_its_definition():
    scores = np.random.default_rng(0).integers(0, 5, (40, 2)).astype(float)
    expected = [not any((other >= one).all() and (other > one).any() for other in scores) for one in scores]
    np.testing.assert_array_equal(pareto_front(scores), expected)
    assert 0 < sum(expected) < 40


def test_means_deviations_and_front_are_drawn(table):
    figure = pl.integration(table, return_fig=True)
    (panel,) = figure.axes
    drawn = {
        tuple(np.round([*line.get_xdata(), *line.get_ydata()], 6)) for line in panel.lines if len(line.get_xdata()) == 1
    }
    assert {(0.1, 0.8), (0.7, 0.8), (0.5, 0.5), (0.9, 0.2)} <= drawn
    front = next(line for line in panel.lines if line.get_gid() == "front")
    # "ours" is better than PCA in mixing and equal in conservation.
    np.testing.assert_allclose(front.get_xdata(), [0.7, 0.9])
    np.testing.assert_allclose(front.get_ydata(), [0.8, 0.2])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["PCA", "ours", "worse", "mixer", "Pareto front"]
    spreads = [segment for bars in panel.collections for segment in bars.get_segments()]
    lengths = sorted({round(float(np.ptp(segment, axis=0).max()), 6) for segment in spreads} - {0.0})
    assert lengths == [round(2 * np.sqrt(0.02), 6)]


def test_sections_have_panels_and_methods_keep_their_colours(table):
    both = pd.concat([table.assign(section="a"), table[table["method"] != "PCA"].assign(section="b")])
    axes = pl.integration(both, show=False)
    assert [panel.get_title() for panel in axes] == ["a", "b"]
    colors = [
        {line.get_color() for line in panel.lines if len(line.get_xdata()) == 1 and line.get_marker() == "s"}
        for panel in axes
    ]
    assert colors[0] == colors[1] and len(colors[0]) == 1


def test_other_columns_and_file(table, tmp_path):
    renamed = table.rename(columns={"bio": "ARI", "batch": "iLISI"})
    assert pl.integration(renamed, bio="ARI", batch="iLISI", save=tmp_path / "picture.png") is None
    assert (tmp_path / "picture.png").stat().st_size > 5000
