"""One table of bad inputs: each gets one clear sentence before any training starts, and the AnnData stays as it was."""

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix

from spotscape import SPOTSCAPE, tl
from spotscape.datasets import synthetic_tissue

pytestmark = pytest.mark.filterwarnings("ignore")


def setup(adata, **arguments):
    SPOTSCAPE.setup_anndata(adata, **{"layer": "counts", "slice_key": "slice"} | arguments)


def build(**arguments):
    def call(adata):
        SPOTSCAPE(adata, **arguments)

    return call


def train(**arguments):
    def call(adata):
        SPOTSCAPE(adata, n_hidden=8, n_latent=4).train(**arguments)

    return call


def set_counts(value):
    def change(adata):
        counts = adata.layers["counts"].tolil()
        counts[3, 2] = value
        adata.layers["counts"] = counts.tocsr()

    return change


def set_position(value):
    def change(adata):
        adata.obsm["spatial"] = adata.obsm["spatial"].astype(float)
        adata.obsm["spatial"][4, 1] = value

    return change


def missing_slices(adata):
    adata.obs["slice"] = adata.obs["slice"].astype(object)
    adata.obs.loc[adata.obs_names[:3], "slice"] = None


def small_slice(adata):
    slices = adata.obs["slice"].astype(str)
    slices.iloc[:3] = "tiny"
    adata.obs["slice"] = slices


def single_spot_slice(adata):
    slices = adata.obs["slice"].astype(str)
    slices.iloc[:1] = "lonely"
    adata.obs["slice"] = slices


def same_positions(adata):
    adata.obsm["spatial"] = np.zeros((adata.n_obs, 2))


def duplicate_spot_names(adata):
    adata.obs_names = ["spot"] * adata.n_obs


def duplicate_gene_names(adata):
    adata.var_names = ["gene"] * adata.n_vars


def empty_counts(adata):
    adata.layers["counts"] = csr_matrix(adata.shape, dtype=np.float32)


def mostly_empty_spots(adata):
    keep = (np.arange(adata.n_obs) % 3 == 0).astype(np.float32)
    adata.layers["counts"] = csr_matrix(adata.layers["counts"].multiply(keep[:, None]))


def text_counts(adata):
    adata.layers["counts"] = adata.layers["counts"].toarray().astype(bool)


def text_positions(adata):
    adata.obsm["spatial"] = pd.DataFrame({"x": ["a"] * adata.n_obs, "y": ["b"] * adata.n_obs}, index=adata.obs_names)


def four_dimensions(adata):
    adata.obsm["spatial"] = np.ones((adata.n_obs, 4))


def edges_between_slices(adata):
    n = adata.n_obs
    graph = csr_matrix(
        (np.ones(2 * n), (np.arange(2 * n) % n, np.repeat([1, n // 2], n) + np.arange(2 * n) % n)), (n, 2 * n)
    )
    adata.obsp["spatial_connectivities"] = graph[:, :n].tocsr()


def foreign_graph(adata):
    adata.obsp["spatial_connectivities"] = csr_matrix((adata.n_obs, adata.n_obs))


def text_size_factors(adata):
    adata.obs["total"] = "many"


def negative_size_factors(adata):
    adata.obs["total"] = -1.0


def normalised_with_size_factors(adata):
    adata.obs["total"] = 1.0
    adata.layers["counts"] = adata.layers["counts"] * 0.37


def scaled(adata):
    adata.layers["counts"] = adata.layers["counts"].toarray() - 1.0


def fractions(adata):
    adata.layers["counts"] = adata.layers["counts"] * 0.37


def nothing(adata):
    pass


#: What is changed, what is called with which arguments, the error, and what its message says.
SETUP_CASES = {
    "missing layer": (nothing, {"layer": "raw"}, KeyError, "'raw' is not in `adata.layers`, which holds 'counts'"),
    "missing slice key": (nothing, {"slice_key": "section"}, KeyError, "'section' is not in `adata.obs`"),
    "missing coordinates": (
        nothing,
        {"spatial_key": "xy"},
        KeyError,
        "'xy' is not in `adata.obsm`, which holds 'spatial'",
    ),
    "missing size factors": (nothing, {"size_factor_key": "total"}, KeyError, "'total' is not in `adata.obs`"),
    "slices with missing values": (missing_slices, {}, ValueError, "3 missing value.*drop those spots"),
    "slice with fewer spots than neighbours": (
        small_slice,
        {"n_neighbors": 5},
        ValueError,
        "only 3 spots in slice 'tiny'",
    ),
    "slice of one spot": (single_spot_slice, {}, ValueError, "single spot in slice 'lonely'.*remove it"),
    "NaN coordinate": (set_position(np.nan), {}, ValueError, "coordinates of 1 spots are NaN or infinite"),
    "infinite coordinate": (set_position(np.inf), {}, ValueError, "coordinates of 1 spots are NaN or infinite"),
    "coordinates of text": (text_positions, {}, ValueError, "they must be numbers"),
    "coordinates in 4-D": (four_dimensions, {}, ValueError, "2 or 3 columns"),
    "NaN count": (set_counts(np.nan), {}, ValueError, "NaN"),
    "infinite count": (set_counts(np.inf), {}, ValueError, "infinite"),
    "negative count": (set_counts(-2.0), {}, ValueError, "negative"),
    "scaled expression": (scaled, {}, ValueError, "negative"),
    "normalised expression where counts are demanded": (fractions, {"values": "counts"}, ValueError, "counts"),
    "duplicate positions": (same_positions, {}, ValueError, "share their position.*slice_key"),
    "duplicate spot names": (duplicate_spot_names, {}, ValueError, "obs_names.*not unique.*obs_names_make_unique"),
    "duplicate gene names": (duplicate_gene_names, {}, ValueError, "var_names.*not unique.*var_names_make_unique"),
    "no counts at all": (empty_counts, {}, ValueError, "All 60 genes are zero"),
    "mostly empty spots": (mostly_empty_spots, {}, ValueError, "160 of 240 spots have no expression.*remove"),
    "boolean counts": (text_counts, {}, (TypeError, ValueError), "bool"),
    "edges between slices": (edges_between_slices, {"graph": "precomputed"}, ValueError, "edges that join two slices"),
    "no precomputed graph": (nothing, {"graph": "precomputed"}, ValueError, "there is none"),
    "graph made elsewhere": (foreign_graph, {}, ValueError, "made elsewhere"),
    "unknown graph": (nothing, {"graph": "grid"}, ValueError, "`graph` is 'grid'; choose one of 'knn'"),
    "radius for knn": (nothing, {"radius": 2.0}, ValueError, "`radius` is 2.0"),
    "no neighbours": (nothing, {"n_neighbors": 0}, ValueError, "`n_neighbors` is 0"),
    "unknown kind of values": (nothing, {"values": "raw"}, ValueError, "`values` is 'raw'"),
    "unknown argument": (nothing, {"slice_kye": "slice"}, TypeError, "no argument 'slice_kye'"),
    "size factors of text": (text_size_factors, {"size_factor_key": "total"}, TypeError, "must be numbers"),
    "negative size factors": (negative_size_factors, {"size_factor_key": "total"}, ValueError, "`size_factors` is -1"),
    "size factors of normalised values": (
        normalised_with_size_factors,
        {"size_factor_key": "total"},
        ValueError,
        "expression is (log-)?normalized; leave them out",
    ),
}

MODEL_CASES = {
    "unknown argument": (build(n_layer=2), TypeError, "n_layer"),
    "no layers": (build(n_layers=0), ValueError, "`n_layers` is 0"),
    "half a layer": (build(n_layers=1.5), TypeError, "whole number"),
    "negative weight": (build(telescope_weight=-1), ValueError, "`telescope_weight` is -1"),
    "all edges dropped": (build(edge_drop_rate=1.0), ValueError, "`edge_drop_rate` is 1.0"),
    "unknown features": (build(features="pca"), ValueError, "`features` is 'pca'"),
    "unknown activation": (build(latent_activation="tanh"), ValueError, "`latent_activation` is 'tanh'"),
    "scale power above one": (build(scale_power=2), ValueError, "`scale_power` is 2"),
    "scale power of genes": (build(scale_power=0.5, features="genes"), ValueError, "'genes', which are not scaled"),
    "residual of genes": (
        build(residual=True, features="genes"),
        ValueError,
        "`features` is 'genes'; pass 'components'",
    ),
    "residual before ReLU": (build(residual=True, latent_activation="relu"), ValueError, "is 'relu'; pass 'linear'"),
    "one number of prototypes": (build(n_prototypes=7), ValueError, "a number for each granularity"),
    "more components than genes": (build(n_components=500), ValueError, "`n_components` is 500"),
    "temperature of zero": (build(temperature=0), ValueError, "`temperature` is 0"),
    "no epochs": (train(max_epochs=0), ValueError, "`max_epochs` is 0"),
    "batch of one spot": (train(batch_size=1), ValueError, "`batch_size` is 1"),
    "unknown schedule": (train(schedule="cosine"), ValueError, "`schedule` is 'cosine'"),
    "unknown training argument": (train(max_epoch=3), TypeError, "max_epoch"),
    "rate given twice": (train(plan_kwargs={"lr": 1}), ValueError, "pass `lr` to `train` itself"),
    "two schedules": (train(plan_kwargs={"reduce_lr_on_plateau": True}), ValueError, "needs `schedule='constant'`"),
    "stopping by validation": (train(early_stopping_monitor="x"), ValueError, "smoothed training loss decides"),
    "unknown plan argument": (train(max_epochs=1, plan_kwargs={"lrr": 1}), TypeError, "lrr"),
}


@pytest.fixture
def adata():
    return synthetic_tissue(n_slices=2, n_spots=120, n_genes=60, n_domains=4, seed=0)


def assert_unchanged(adata, before):
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    pd.testing.assert_frame_equal(adata.var, before.var)
    assert repr(adata.uns) == repr(before.uns)
    assert (adata.X != before.X).nnz == 0
    for attribute in ("obsm", "obsp", "varm", "layers"):
        found, expected = getattr(adata, attribute), getattr(before, attribute)
        assert found.keys() == expected.keys()
        for key in expected:
            a, b = (m.toarray() if hasattr(m, "toarray") else np.asarray(m) for m in (found[key], expected[key]))
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", SETUP_CASES)
def test_bad_setup(adata, case):
    change, arguments, error, message = SETUP_CASES[case]
    change(adata)
    before = adata.copy()
    with pytest.raises(error, match=message) as caught:
        setup(adata, **arguments)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


@pytest.mark.parametrize("case", MODEL_CASES)
def test_bad_model_and_training(adata, case):
    call, error, message = MODEL_CASES[case]
    setup(adata)
    before = adata.copy()
    with pytest.raises(error, match=message) as caught:
        call(adata)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


def assert_one_sentence(error):
    assert "\n" not in str(error) and len(str(error)) < 400


def test_views_and_spots_that_are_still_in_a_file_are_refused(adata, tmp_path):
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    with pytest.raises(ValueError, match="view of one in a file.*to_memory"):
        setup(backed[:100])
    backed.file.close()
    with pytest.raises(TypeError, match="still in a file.*read_sections"):
        setup(anndata.experimental.read_lazy(tmp_path / "a.h5ad"))


def test_expression_kept_gene_by_gene_in_a_file_is_refused(adata, tmp_path):
    adata.X = adata.X.tocsc()
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    with pytest.raises(ValueError, match="gene by gene.*as CSR"):
        setup(backed, layer=None)
    backed.file.close()


def test_no_genes_and_one_spot_are_refused(adata):
    with pytest.raises(ValueError, match="no genes"):
        setup(adata[:, :0].copy())
    with pytest.raises(ValueError, match="at least two"):
        setup(adata[:1].copy())


def test_a_model_without_data_is_refused():
    with pytest.raises(ValueError, match="adata|data"):
        SPOTSCAPE()


@pytest.fixture
def saved(adata, tmp_path):
    setup(adata)
    model = SPOTSCAPE(adata, n_hidden=8, n_latent=4, n_prototypes=(3,))
    model.train(2, enable_progress_bar=False)
    model.save(tmp_path / "model")
    return tmp_path / "model"


def new_section(seed=1):
    return synthetic_tissue(n_slices=1, n_spots=80, n_genes=60, n_domains=4, seed=seed)


def reordered(adata):
    return adata[:, ::-1].copy()


def missing_genes(adata):
    return adata[:, 5:].copy()


def further_gene(adata):
    more = anndata.concat([adata, adata[:, :1].copy()], axis=1, merge="first")
    more.var_names_make_unique()
    return more


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (reordered, "in another order or among others.*get_var_names"),
        (missing_genes, "5 of the 60 genes of the model are missing"),
        (further_gene, "in another order or among others"),
    ],
)
def test_other_genes_at_load_are_refused(saved, change, message):
    adata = change(new_section())
    before = adata.copy()
    with pytest.raises(ValueError, match=message):
        SPOTSCAPE.load(saved, adata=adata)
    with pytest.raises(ValueError, match=message):
        SPOTSCAPE.load(saved, adata=False).get_latent_representation(adata)
    with pytest.raises(ValueError, match=message):
        SPOTSCAPE.load(saved, adata=new_section()).get_latent_representation(adata)
    assert_unchanged(adata, before)


def test_other_values_at_load_are_refused(saved):
    adata = new_section()
    adata.layers["counts"] = adata.layers["counts"] * 0.3
    before = adata.copy()
    with pytest.raises(ValueError, match="set up with counts values, but these look like"):
        SPOTSCAPE.load(saved, adata=adata)
    assert_unchanged(adata, before)


def test_new_slices_at_load_are_taken(saved):
    adata = new_section()
    adata.obs["slice"] = "never seen"
    assert SPOTSCAPE.load(saved, adata=adata).get_latent_representation().shape == (80, 4)


def test_damaged_and_foreign_files_are_refused(saved, tmp_path):
    path = saved / "model.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        SPOTSCAPE.load(saved, adata=False)
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match="damaged"):
        SPOTSCAPE.load(saved, adata=False)
    torch.save({"weights": torch.ones(2)}, path)
    with pytest.raises(ValueError, match="not a model"):
        SPOTSCAPE.load(saved, adata=False)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no model at"):
        SPOTSCAPE.load(saved, adata=False)


class Payload:
    """What an attacker would put into a file: pickle calls it when the file is read."""

    ran = False

    def __reduce__(self):
        return (_set_ran, ())


def _set_ran():
    Payload.ran = True


def test_files_that_could_run_code_need_an_opt_in(saved):
    contents = torch.load(saved / "model.pt", weights_only=False)
    contents["attr_dict"]["payload_"] = Payload()
    torch.save(contents, saved / "model.pt")
    with pytest.raises(ValueError, match="allow_pickle=True"):
        SPOTSCAPE.load(saved, adata=False)
    assert not Payload.ran
    SPOTSCAPE.load(saved, adata=False, allow_pickle=True)
    assert Payload.ran


def test_files_of_newer_releases_and_other_classes_are_refused(saved):
    contents = torch.load(saved / "model.pt", weights_only=False)
    contents["attr_dict"]["format_version_"] = 99
    torch.save(contents, saved / "model.pt")
    with pytest.raises(ValueError, match="has format 99"):
        SPOTSCAPE.load(saved, adata=False)
    contents["attr_dict"]["format_version_"] = 1
    contents["attr_dict"]["registry_"]["model_name"] = "SEDR"
    torch.save(contents, saved / "model.pt")
    with pytest.raises(ValueError, match="holds a SEDR model; load it with `SEDR.load`"):
        SPOTSCAPE.load(saved, adata=False)


@pytest.mark.parametrize("n_domains", [0, 1, 10_000, 2.5])
def test_numbers_of_domains_out_of_range_are_refused(adata, n_domains):
    adata.obsm["X_spotscape"] = np.random.default_rng(0).normal(size=(adata.n_obs, 4))
    before = adata.copy()
    with pytest.raises((ValueError, TypeError), match="n_domains"):
        tl.domains(adata, n_domains=n_domains)
    assert_unchanged(adata, before)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"smoothing": 1.0}, ValueError, "`smoothing` is 1.0"),
        ({"smoothing": -0.1}, ValueError, "`smoothing` is -0.1"),
        ({"smoothing": 0.5}, KeyError, "call `spotscape.pp.spatial_neighbors` first"),
        ({"method": "mclust"}, ValueError, "`method` is 'mclust'"),
        ({"use_rep": "X_pca"}, KeyError, "X_pca"),
    ],
)
def test_bad_arguments_of_domains_are_refused(adata, arguments, error, message):
    adata.obsm["X_spotscape"] = np.random.default_rng(0).normal(size=(adata.n_obs, 4))
    before = adata.copy()
    with pytest.raises(error, match=message):
        tl.domains(adata, n_domains=3, **arguments)
    assert_unchanged(adata, before)


def test_bad_arguments_of_the_answers_are_refused(saved):
    model = SPOTSCAPE.load(saved, adata=new_section())
    with pytest.raises(KeyError, match="not of the model"):
        model.get_normalized_expression(gene_list=["no such gene"])
    with pytest.raises(ValueError, match="between 0 and 79"):
        model.get_latent_representation(indices=[0, 80])
    with pytest.raises(ValueError, match="more than once"):
        model.get_latent_representation(indices=[1, 1])
    with pytest.raises(ValueError, match="mask of length 3"):
        model.get_latent_representation(indices=np.array([True, False, True]))
    for value, message in ((-1, "`library_size` is -1"), ("observed", "pass a number or 'latent'")):
        with pytest.raises(ValueError, match=message):
            model.get_normalized_expression(library_size=value)
    for indices in ([], [0.5, 2], ["spot"], [[1]]):
        with pytest.raises(ValueError, match="pass row numbers"):
            model.get_latent_representation(indices=indices)
    for batch_size in (0, -1, 2.5):
        with pytest.raises((ValueError, TypeError), match="`batch_size` is"):
            model.get_latent_representation(batch_size=batch_size)
    with pytest.raises(TypeError, match="pass a list of names"):
        model.get_normalized_expression(gene_list="gene_1")
    with pytest.raises(TypeError, match="Got a str where a AnnData"):
        model.get_latent_representation("section.h5ad")
    with pytest.raises(TypeError, match="Got a str where a AnnData"):
        SPOTSCAPE.load(saved, adata="section.h5ad")


def test_downloaded_files_are_read_as_carefully(saved, tmp_path):
    contents = torch.load(saved / "model.pt", weights_only=False)
    contents["attr_dict"]["payload_"] = Payload()
    torch.save(contents, tmp_path / "there.pt")
    Payload.ran = False
    with pytest.raises(ValueError, match="allow_pickle=True"):
        SPOTSCAPE.load(tmp_path / "here", adata=False, backup_url=(tmp_path / "there.pt").as_uri())
    assert not Payload.ran
    (saved / "model.pt").rename(tmp_path / "good.pt")
    torch.save(torch.load(tmp_path / "good.pt", weights_only=False), tmp_path / "there.pt")
    loaded = SPOTSCAPE.load(tmp_path / "new", adata=False, backup_url=(tmp_path / "there.pt").as_uri())
    assert loaded.is_trained
