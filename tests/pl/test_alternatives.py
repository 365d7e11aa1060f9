"""Maps of alternatives."""

import anndata
import numpy as np
import pandas as pd
import pytest

from spotscape import pl


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    chosen = np.repeat([1, 2], 20)
    other = np.tile([1, 2], 20)
    data = anndata.AnnData(obsm={"spatial": rng.uniform(size=(40, 2))})
    data.obs["slice"] = pd.Categorical(np.tile(["a", "b"], 20))
    data.uns["spatial_domain"] = {
        "alternatives": {
            "domains": np.c_[chosen, other],
            "excess": np.array([0.0, 0.002]),
            "log_likelihood": np.array([1.0, 0.5]),
            "agreement": np.array([[1.0, -0.02], [-0.02, 1.0]]),
        }
    }
    data.uns["spatial_domain_colors"] = ["#ff0000", "#0000ff"]
    return data


def test_one_column_per_partition_and_one_row_per_slice(adata):
    panels = pl.alternatives(adata, show=False)
    assert [panel.get_title() for panel in panels] == ["chosen", "ARI -0.02, sum of squares +0.2 %", "", ""]
    faces = [panel.collections[0].get_facecolors() for panel in panels]
    assert [len(face) for face in faces] == [20] * 4
    # Slice a holds the even spots, which the second partition puts into one domain.
    assert (faces[0][:10, 0] == 1).all() and (faces[0][10:, 2] == 1).all()
    assert (faces[1][:, 0] == 1).all() and (faces[3][:, 2] == 1).all()


def test_as_many_partitions_as_asked_for(adata, tmp_path):
    assert len(pl.alternatives(adata, n_partitions=1, show=False)) == 2
    assert pl.alternatives(adata, save=tmp_path / "x.png") is None
    assert (tmp_path / "x.png").stat().st_size > 1000


@pytest.mark.parametrize("key", ["nothing", "kmeans"])
def test_without_alternatives_the_error_says_what_to_call(adata, key):
    adata.uns["kmeans"] = {"method": "kmeans"}
    with pytest.raises(KeyError, match="tl.domains"):
        pl.alternatives(adata, key)


def test_alternatives_of_other_spots_are_refused(adata):
    with pytest.raises(ValueError, match="those of 40 spots, but `adata` has 15"):
        pl.alternatives(adata[:15].copy())
