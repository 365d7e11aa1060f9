import anndata
import numpy as np
import pandas as pd
import pytest

from spotscape import pl


@pytest.fixture
def adata():
    splits = np.array([[0.2, 0.3, 0.1], [0.8, 0.9, 1.0], [0.5, 0.6, 0.4]])
    table = pd.DataFrame(
        {"n_domains": [2, 4, 5], "reproducibility": splits.mean(axis=1), "sd": splits.std(axis=1, ddof=1)}
    )
    return anndata.AnnData(np.zeros((2, 1)), uns={"n_domains": {"chosen": 4, "table": table, "splits": splits}})


def test_mean_splits_and_choice_are_drawn(adata):
    figure = pl.n_domains(adata, title="cortex", return_fig=True)
    (panel,) = figure.axes
    mean, mark, _ = panel.lines
    np.testing.assert_allclose(mean.get_xydata(), [[2, 0.2], [4, 0.9], [5, 0.5]])
    np.testing.assert_allclose(mark.get_xydata(), [[4, 0.9]])
    dots = panel.collections[1].get_offsets()
    np.testing.assert_allclose(dots[3:6], [[4, 0.8], [4, 0.9], [4, 1.0]])
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["chosen: 4"]
    assert panel.get_title() == "cortex" and list(panel.get_xticks()) == [2, 4, 5]


def test_the_figure_is_returned_and_saved(adata, tmp_path):
    assert len(pl.n_domains(adata, show=False)) == 1
    assert pl.n_domains(adata, save=tmp_path / "x.png") is None
    assert (tmp_path / "x.png").stat().st_size > 1000


@pytest.mark.parametrize("value", [None, {}, {"chosen": 3}])
def test_without_a_result_the_error_says_what_to_call(adata, value):
    adata.uns = {} if value is None else {"n_domains": value}
    with pytest.raises(KeyError, match="choose_n_domains"):
        pl.n_domains(adata)
