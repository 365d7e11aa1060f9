"""The report: complete, self-contained, safe against names in the data, small, and usable by everyone."""

import base64
import json
import re

import anndata
import numpy as np
import pandas as pd
import pytest

import spotscape as sps
from spotscape._report._alerts import find_alerts
from spotscape._report._mixing import slice_shifts
from spotscape._report._raster import make_raster
from spotscape._report._tissue import read_tissue

from .conftest import NASTY, Page

ALWAYS = {"alerts", "summary", "maps", "methods", "parameters"}


def read(path):
    return path.read_text(encoding="utf-8")


def alerts_of(adata, model=None, notes=(), **keys):
    keys = {"domain_key": "spatial_domain", "slice_key": None, "spatial_key": "spatial", "layer": None} | keys
    tissue = read_tissue(adata, model=model, **keys)
    return {alert.title: alert for alert in find_alerts(tissue, model, notes)}


def test_all_sections_are_there(page):
    further = {"embedding", "mixing", "composition", "confidence", "number", "training"}
    assert set(page.sections) - {"markers"} == ALWAYS | further
    assert {link["href"].removeprefix("#") for link in page.all("a") if link["href"].startswith("#")} == set(
        page.sections
    )
    assert not page.open


def test_sections_without_data_are_absent(plain, tmp_path):
    adata = plain(n_slices=1, names=("only",))
    del adata.obs["spatial_domain_confidence"], adata.X, adata.layers["counts"]
    page = Page(read(sps.report(adata, tmp_path / "r.html")))
    assert set(page.sections) == ALWAYS
    assert "Counts" not in page.sections["summary"] and "nothing unusual" in page.sections["alerts"]


def test_the_summary_has_one_line_a_slice(plain, tmp_path):
    adata = plain()
    page = Page(read(sps.report(adata, tmp_path / "r.html")))
    own = adata.layers["counts"][:60].toarray()
    confidence = adata.obs["spatial_domain_confidence"][:60].median()
    expected = ["60", f"{np.median((own > 0).sum(1)):,.0f}", f"{np.median(own.sum(1)):,.0f}", "2", f"{confidence:.2f}"]
    words = page.sections["summary"].split()
    assert words[words.index("60") : words.index("60") + 5] == expected


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "srcset", "poster", "data", "action") or (name == "href" and tag != "a"):
                assert (value or "").startswith("data:"), (tag, name)
    assert not [one for one in page.all("script") if "src" in one] and not page.all("iframe")
    style = "".join(text for tag, text in page.text_of if tag == "style")
    assert "url(" not in style and "@import" not in style


def test_names_from_the_data_are_text(plain, tmp_path):
    adata = plain(names=NASTY, domains=("<img src=x onerror=alert(2)>", "$a_b$"))
    adata.obs_names = [f"<b>{number}</b>" for number in range(adata.n_obs)]
    adata.layers["<i>layer</i>"] = adata.layers["counts"].copy()
    adata.var_names = [f"<u>{name}</u>" for name in adata.var_names]
    adata.uns["spatial_domain"] = {"method": "<script>alert(3)</script>", "n_init": 1}
    gene = {"score": 3.0, "log2_fold_change": 1.0, "p_adjusted": 0.0, "fraction": 1.0, "fraction_reference": 0.5}
    table = pd.DataFrame([{"domain": "$a_b$", "gene": "<u>gene</u>"} | gene])
    adata.uns["markers"] = {"table": table, "params": {"domain_key": "another"}}
    note = "<script>alert(4)</script>"
    path = sps.report(adata, tmp_path / "r.html", layer="<i>layer</i>", title="<script>alert(5)</script>", notes=[note])
    adata.uns["markers"]["params"]["domain_key"] = "spatial_domain"
    if not hasattr(sps.pl, "markers"):
        path = sps.report(adata, path, title="<script>alert(5)</script>", notes=[note])
    page = Page(read(path))
    plain_page = Page(read(sps.report(plain(), tmp_path / "plain.html")))
    # The same elements as a page without such names: no name became one.
    tags = [tag for tag, _ in page.elements]
    for tag in ("script", "b", "u", "i"):
        assert tags.count(tag) == [tag for tag, _ in plain_page.elements].count(tag)
    assert page.all("img") and all(one["src"].startswith("data:image/png") for one in page.all("img"))
    assert not [one for _, one in page.elements if any(name.startswith("on") for name in one)]
    assert NASTY[0] in page.sections["summary"] and note in page.sections["alerts"]
    (viewer,) = (text for tag, text in page.text_of if tag == "script" and '"spots"' in text)
    assert json.loads(viewer)["slices"] == NASTY and json.loads(viewer)["spots"][0][0] == "<b>0</b>"


def test_positions_are_binary_and_quantised(page):
    (document,) = (json.loads(text) for tag, text in page.text_of if tag == "script" and '"target_id":"map-0"' in text)
    arrays = re.findall(r'"(x|y|domain|confidence)", ?\{"type": ?"ndarray".*?"dtype": ?"(\w+)"', json.dumps(document))
    assert dict(arrays) == {"x": "uint16", "y": "uint16", "domain": "uint8", "confidence": "uint8"}


def test_ten_thousand_spots_are_below_five_megabytes(tmp_path):
    rng = np.random.default_rng(0)
    n_spots = 10_000
    adata = anndata.AnnData(
        rng.poisson(1.0, (n_spots, 20)).astype(np.float32),
        obs=pd.DataFrame(
            {
                "slice": pd.Categorical(np.repeat(["a", "b"], n_spots // 2)),
                "spatial_domain": pd.Categorical(rng.choice(list("12345"), n_spots)),
                "spatial_domain_confidence": rng.uniform(size=n_spots),
            },
            index=[f"ACGTACGTACGTAC{number:06d}-1" for number in range(n_spots)],
        ),
        obsm={"spatial": rng.uniform(0, 1e4, (n_spots, 2)), "X_pca": rng.normal(size=(n_spots, 2)).astype(np.float32)},
    )
    image = rng.integers(0, 255, (800, 800, 3), dtype=np.uint8)
    adata.uns["spatial"] = {"a": {"images": {"hires": image}, "scalefactors": {"tissue_hires_scalef": 0.08}}}
    path = sps.report(adata, tmp_path / "r.html")
    assert 1e6 < path.stat().st_size < 5e6
    assert "data:image/jpeg" in read(path)


@pytest.mark.slow
def test_a_million_cells_are_below_fifteen_megabytes(tmp_path):
    rng = np.random.default_rng(0)
    n_cells = 1_000_000
    # Random positions cannot be compressed.
    positions = rng.uniform(0, 1000, (n_cells, 2)).astype(np.float32)
    domains = (positions[:, 0] // 125.001).astype(int)
    adata = anndata.AnnData(
        obs=pd.DataFrame(
            {
                "spatial_domain": pd.Categorical.from_codes(domains, list("12345678")),
                "spatial_domain_confidence": rng.uniform(size=n_cells).astype(np.float32),
            },
            index=pd.RangeIndex(n_cells).astype(str),
        ),
        obsm={"spatial": positions, "X_latent": rng.normal(size=(n_cells, 4)).astype(np.float32) + domains[:, None]},
        uns={"spatial_domain": {"use_rep": "X_latent"}},
    )
    assert 1e6 < sps.report(adata, tmp_path / "r.html").stat().st_size < 15e6


def test_pixels_have_the_values_of_the_nearest_spot():
    rng = np.random.default_rng(0)
    positions = rng.uniform([10, 300], [90, 340], (500, 2))
    raster = make_raster(positions, 3.0, share=0.001)
    height, width = raster.nearest.shape
    assert height * width == pytest.approx(2000, rel=0.1) and width > height
    side = raster.size / [width, height]
    assert side[0] == pytest.approx(side[1])
    row, column = np.divmod(np.arange(height * width), width)
    centres = raster.low + side * (np.c_[column, row] + 0.5)
    distances = np.linalg.norm(centres[:, None] - positions, axis=2)
    expected = np.where(distances.min(axis=1) < 1.5, distances.argmin(axis=1), -1)
    np.testing.assert_array_equal(raster.nearest.ravel(), expected)
    values = raster.values(np.arange(500, dtype=np.uint16), 999)
    assert values.dtype == np.uint16 and set(values[raster.nearest < 0]) == {999}
    # All pixels together are not more for many slices than for one.
    assert make_raster(positions, 3.0, share=1.0).nearest.size < 1.1 * 6 * 500


def test_everyone_can_use_it(page):
    assert len(page.all("h1")) == 1 and page.all("html") == [{"lang": "en"}] and len(page.all("title")) == 1
    assert all(one.get("alt") for one in page.all("img"))
    assert all("type" in one for one in page.all("button"))
    labelled = {one["for"] for one in page.all("label")}
    assert all(one["id"] in labelled for one in page.all("input"))
    # What reacts to the mouse also has a key.
    assert not [tag for tag, one in page.elements if "onclick" in one]
    tabs = [one for one in page.all("button") if one.get("role") == "tab"]
    ids = [one["id"] for _, one in page.elements if "id" in one]
    assert len(ids) == len(set(ids)) and {one["aria-controls"] for one in tabs} <= set(ids)
    assert all(one.get("scope") for one in page.all("th"))
    assert all(one["tabindex"] == "0" and one["aria-label"] for one in page.all("div") if one.get("class") == "scroll")


def test_colours_are_those_of_the_maps(page, analysed):
    adata, _ = analysed
    swatches = [one["style"] for one in page.all("span") if one.get("class") == "swatch"]
    colors = [color.lower() for color in sps.pl._colors.PALETTE[: adata.obs["spatial_domain"].nunique()]]
    assert swatches[: len(colors)] == [f"background:{color}" for color in colors]
    sections = adata.copy()
    sections.uns["spatial_domain_colors"] = ["#111111", "#222222", "#333333", "#444444"]
    assert "spatial_domain_colors" not in adata.uns
    assert read_tissue(
        sections, domain_key="spatial_domain", slice_key=None, spatial_key="spatial", layer=None, model=None
    ).colors == ["#111111", "#222222", "#333333", "#444444"]


def test_pictures_are_pictures(page):
    for one in page.all("img"):
        assert base64.b64decode(one["src"].partition(",")[2])[:4] == b"\x89PNG"


def test_data_are_not_changed(plain, tmp_path):
    adata = plain()
    before = adata.copy()
    sps.report(adata, tmp_path / "r.html")
    assert set(adata.uns) == set(before.uns) and set(adata.obsm) == set(before.obsm)
    pd.testing.assert_frame_equal(adata.obs, before.obs)


def test_methods_name_what_was_done(page, analysed):
    text = page.sections["methods"]
    for part in ("300 spots of 2 tissue sections", "SPOTSCAPE [", "8 epochs", "4 spatial domains", "Harmony", "mclust"):
        assert part in text, part
    links = [link["href"] for link in page.all("a") if link["href"].startswith("http")]
    cited = {int(number) for number in re.findall(r"\[(\d+)\]", text)}
    assert cited == set(range(1, len(links) + 1))
    assert all(link.startswith(("https://doi.org/", "https://arxiv.org/")) for link in links)
    assert "n_latent" in page.sections["parameters"] and sps.__version__ in page.sections["parameters"]


def test_the_warm_up_is_marked(page):
    assert "dashed line, epoch 4," in page.sections["training"]


def test_a_shift_of_a_slice_is_measured_in_spreads():
    rng = np.random.default_rng(0)
    slices = np.repeat([0, 1, 2], 400)
    values = rng.normal(size=(1200, 4))
    assert slice_shifts(values, slices, 3).max() < 0.1
    shifted = values + np.where(slices == 2, 6.0, 0.0)[:, None] * [1, 0, 0, 0]
    np.testing.assert_allclose(slice_shifts(shifted, slices, 3), [1.5, 1.5, 3.0], atol=0.1)
    np.testing.assert_allclose(slice_shifts(9 * shifted, slices, 3), [1.5, 1.5, 3.0], atol=0.1)


def test_depth_ties_and_uncertain_domains_are_told(plain):
    adata = plain(n_slices=3, names=("a", "b", "c"), domains=("1", "2"))
    low = (adata.obs["slice"] == "b").to_numpy()
    counts = adata.layers["counts"].tolil()
    counts[low] = 0
    counts[low, 0] = 3
    adata.layers["counts"] = counts.tocsr()
    adata.obs.loc[adata.obs["spatial_domain"] == "2", "spatial_domain_confidence"] = 0.2
    adata.uns["spatial_domain"] = {
        "alternatives": {"excess": np.array([0, 0.001, 0.2]), "agreement": np.array([[1, 0.3, 0.1]] * 3)}
    }
    found = alerts_of(adata, notes=["Something else."])
    assert set(found) == {
        *(
            "Low depth: slice b",
            "Few molecules: slice b",
            "Other domains fit as well",
            "Domain 2 is uncertain",
            "Reported by the analysis",
        )
    }
    assert "0.30" in found["Other domains fit as well"].text and "1 other" in found["Other domains fit as well"].text
    assert [alert.is_serious for alert in found.values()] == [True, True, True, False, False]


def test_slices_unlike_the_others_and_domains_of_one_slice_are_told(plain):
    adata = plain(n_spots=80, n_slices=3, names=("a", "b", "c"))
    rng = np.random.default_rng(0)
    strange = (adata.obs["slice"] == "c").to_numpy()
    adata.obsm["Z"] = rng.normal(size=(240, 3)) + 50 * strange[:, None]
    adata.obs["spatial_domain"] = pd.Categorical(np.where(strange, "2", "1"))
    adata.uns["spatial_domain"] = {"use_rep": "Z"}
    assert {"Slice c is unlike the others", "Domain 2 is in one slice"} <= set(alerts_of(adata))
    adata.obsm["Z"] -= 50 * strange[:, None]
    assert not [title for title in alerts_of(adata) if "unlike" in title]


def test_findings_of_set_up_contamination_and_new_slices_are_told(plain):
    adata = plain()
    adata.layers["corrected"] = 0.9 * adata.layers["counts"]
    sps.SPOTSCAPE.setup_anndata(adata, layer="corrected", slice_key="slice", values="normalized")
    model = sps.SPOTSCAPE(adata)
    messages = model.get_data_findings()["message"].tolist()
    row = {"domain": "1", "contamination_like": True, "reason": "it is <b>small</b>"}
    adata.uns["markers"] = {"domains": pd.DataFrame([row]), "params": {"domain_key": "spatial_domain"}}
    adata.uns["slice_novelty"] = pd.DataFrame(
        {"n_spots": [60, 60], "share_novel": [0.01, 0.9], "out_of_distribution": [False, True]}, index=["a", "b"]
    )
    found = alerts_of(adata, model, notes=messages)
    assert {"Domain 1 looks like contamination", "Slice b is out of distribution"} <= set(found)
    # What set-up found is told once, although the warning is among the notes.
    texts = [alert.text for alert in found.values()]
    assert all(texts.count(message) == 1 for message in messages)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"domain_key": "cluster"}, KeyError, "'cluster', which is not in `adata.obs`"),
        ({"domain_key": "spatial_domain_confidence"}, TypeError, "contains numbers"),
        ({"spatial_key": "xy"}, KeyError, "'xy'"),
        ({"layer": "raw"}, KeyError, "'raw'"),
        ({"notes": "a sentence"}, TypeError, "pass a list of sentences"),
    ],
)
def test_wrong_arguments_are_refused(plain, tmp_path, change, error, message):
    with pytest.raises(error, match=re.escape(message)):
        sps.report(plain(), tmp_path / "r.html", **change)
    assert not list(tmp_path.iterdir())
