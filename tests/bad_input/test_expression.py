"""Bad input to tests of expression."""

import numpy as np
import pytest

from spotscape import get, tl

from .conftest import assert_one_sentence, assert_unchanged

MARKERS = [
    ({"domain_key": "nothing"}, KeyError, "`domain_key` is 'nothing'"),
    ({"domain_key": "empty"}, ValueError, "missing for all spots"),
    ({"groups": "layer_9"}, KeyError, "`groups` is 'layer_9'"),
    ({"groups": []}, ValueError, "`groups` is empty"),
    ({"reference": "layer_9"}, KeyError, "`reference` is 'layer_9'"),
    ({"groups": "layer_1", "reference": "layer_1"}, ValueError, "no domain"),
    ({"domain_key": "single", "groups": "alone"}, ValueError, "1 spot"),
    ({"domain_key": "single", "groups": "others"}, ValueError, "almost all spots"),
    ({"layer": "nothing"}, KeyError, "`layer` is 'nothing'"),
    ({"layer": "halves"}, ValueError, "not whole numbers"),
    ({"layer": "negative"}, ValueError, "negative"),
    ({"layer": "zero"}, ValueError, "zero in all spots"),
    ({"size_factor_key": "nothing"}, KeyError, "size_factor_key"),
    ({"genes": ["gene_01", "x", "y"]}, KeyError, "`genes` is 'x', which is not in"),
    ({"genes": "marker_of"}, TypeError, "boolean column"),
    ({"genes": []}, ValueError, "`genes` is empty"),
    ({"n_genes": 0}, ValueError, "n_genes"),
    ({"slice_key": "nothing"}, KeyError, "slice_key"),
    ({"key_added": ""}, TypeError, "key_added"),
]

DIFFERENTIAL = [
    ({"condition": None}, ValueError, "neither was given"),
    ({"reference_domain": "rest"}, ValueError, "both were given"),
    ({"condition": "nothing"}, KeyError, "`condition` is 'nothing'"),
    ({"condition": "domain"}, ValueError, "has 4 conditions"),
    ({"replicate": "nothing"}, KeyError, "`replicate` is 'nothing'"),
    ({"domain": "layer_9"}, KeyError, "`domain` is 'layer_9'"),
    ({"domain": []}, ValueError, "`domain` is empty"),
    ({"groups": ("new", "new")}, ValueError, "two conditions"),
    ({"groups": "new"}, ValueError, "two conditions"),
    ({"groups": ("new", "newer")}, KeyError, "`groups` is 'newer'"),
    ({"condition": None, "reference_domain": "x"}, KeyError, "`reference_domain` is 'x'"),
    ({"condition": None, "reference_domain": "rest", "groups": ("new", "old")}, ValueError, "omit one of them"),
    ({"condition": None, "reference_domain": "layer_1", "domain": "layer_1"}, ValueError, "two different domains"),
    ({"replicate": "half", "min_counts": 1e6}, ValueError, "no gene with 1e"),
    ({"replicate": "slice", "min_spots": 1000}, ValueError, "0 in 'new' and 0 in 'old'"),
    ({"min_spots": 0}, ValueError, "min_spots"),
    ({"min_counts": -1}, ValueError, "min_counts"),
    ({"layer": "halves"}, ValueError, "not whole numbers"),
    ({"key_added": None}, TypeError, "key_added"),
]

ENRICHMENT = [
    ({"gene_sets": {}}, TypeError, "`gene_sets` is {}"),
    ({"gene_sets": {"a": "gene_01"}}, ValueError, "pass a list"),
    ({"gene_sets": {"a": ["elsewhere"]}}, ValueError, "named as in"),
    ({"key": "nothing"}, KeyError, "call one of them first"),
    ({"key": "short"}, ValueError, "only the first 3 genes"),
    ({"domain": "layer_9"}, KeyError, "`domain` is 'layer_9'"),
    ({"method": "other"}, ValueError, "`method` is 'other'"),
    ({"direction": "both"}, ValueError, "direction"),
    ({"genes": "gene_01"}, ValueError, "pass a list"),
    ({"genes": []}, ValueError, "is empty"),
    ({"genes": ["gene_01"], "method": "ranked"}, ValueError, "without order"),
    ({"min_size": 9, "max_size": 3}, ValueError, "max_size"),
    ({"max_p_adjusted": 2}, ValueError, "max_p_adjusted"),
    ({"n_genes": 0}, ValueError, "n_genes"),
]


@pytest.fixture
def data(adata):
    counts = adata.layers["counts"]
    adata.layers["halves"], adata.layers["negative"], adata.layers["zero"] = (counts * 0.5).log1p(), -counts, counts * 0
    adata.obs["empty"] = None
    adata.obs["single"] = np.where(np.arange(adata.n_obs) == 0, "alone", "others")
    adata.obs["condition"] = np.where(adata.obs["slice"] == "slice_1", "old", "new")
    adata.obs["half"] = adata.obs["slice"].astype(str) + np.where(np.arange(adata.n_obs) % 2, "a", "b")
    tl.markers(adata, "domain")
    tl.markers(adata, "domain", n_genes=3, key_added="short")
    return adata


def refuse(function, data, arguments, error, message):
    before = data.copy()
    with pytest.raises(error, match=message) as caught:
        function(data, **arguments)
    assert_unchanged(data, before)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(("arguments", "error", "message"), MARKERS, ids=lambda value: str(value)[:40])
def test_markers(data, arguments, error, message):
    refuse(tl.markers, data, {"domain_key": "domain"} | arguments, error, message)


@pytest.mark.parametrize(("arguments", "error", "message"), DIFFERENTIAL, ids=lambda value: str(value)[:40])
def test_differential_expression(data, arguments, error, message):
    arguments = {"domain_key": "domain", "condition": "condition", "groups": None} | arguments
    if arguments["condition"] == "condition" and arguments["groups"] is None:
        arguments["groups"] = ("new", "old")
    refuse(tl.differential_expression, data, arguments, error, message)


@pytest.mark.parametrize(("arguments", "error", "message"), ENRICHMENT, ids=lambda value: str(value)[:40])
def test_enrichment(data, arguments, error, message):
    refuse(tl.enrichment, data, {"gene_sets": {"a": list(data.var_names[:9])}} | arguments, error, message)


@pytest.mark.parametrize("name", ["markers", "differential_expression", "enrichment", "composition"])
def test_results_that_are_not_there(data, name):
    with pytest.raises(KeyError, match=f"call `spotscape.tl.{name}` first"):
        getattr(get, name)(data, key="spatial")
    if name != "composition":
        data.uns["other"] = {"table": data.obs}
        with pytest.raises(KeyError, match="not such a result"):
            getattr(get, name)(data, key="other")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"domain": "layer_9"}, KeyError), ({"max_p_adjusted": 2}, ValueError), ({"min_fraction": "x"}, TypeError)],
)
def test_thresholds(data, arguments, error):
    with pytest.raises(error):
        get.markers(data, **arguments)
