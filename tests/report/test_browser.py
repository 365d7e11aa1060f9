"""The report in a browser: it runs without errors or a network, reacts, and is readable when narrow or printed."""

import shutil

import numpy as np
import pandas as pd
import pytest

from .conftest import NASTY

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page with what it complained about and what it asked for."""

    def __init__(self, browser, path, width=1400):
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("dialog", lambda dialog: self.errors.append("dialog") or dialog.dismiss())
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("#viewer[data-drawn]", timeout=60_000)

    def hover(self):
        """Text that is shown when the mouse is over the middle of the map."""
        box = self.page.locator("[role=tabpanel]:not([hidden]) .map")
        box.scroll_into_view_if_needed()
        place = box.bounding_box()
        for shift in range(30):
            self.page.mouse.move(place["x"] + place["width"] * (0.5 + 0.003 * shift), place["y"] + place["height"] / 2)
            self.page.wait_for_timeout(100)
            if self.page.locator(".tip").is_visible():
                return self.page.locator(".tip").text_content()
        return ""

    def limits(self, document=0):
        return self.page.evaluate(
            "n => (({x_range: x, y_range: y}) => [x.start, x.end, y.start])(Bokeh.documents[n].roots()[0])", document
        )


@pytest.fixture
def opened(browser, written):
    opened = Opened(browser, written)
    yield opened
    opened.page.close()


def test_it_runs_without_errors_and_leaves_no_file(opened, written):
    opened.page.locator("#tab-1").click()
    opened.page.wait_for_selector('#viewer[data-drawn="0 1"]')
    assert opened.errors == []
    assert {url for url in opened.requests if not url.startswith("data:")} == {written.as_uri()}


def test_the_map_reacts(opened, analysed):
    adata, _ = analysed
    text = opened.hover()
    name, domain, confidence, depth = text.split("\n")
    row = adata.obs.loc[name]
    assert domain == f"Domain: {row['spatial_domain']}" and row["slice"] == "slice_1"
    assert confidence == f"Confidence: {row['spatial_domain_confidence']:.2f}"
    assert depth.startswith(f"{int(adata[name].layers['counts'].sum()):,} counts")
    page = opened.page
    whole = opened.limits()
    page.get_by_role("button", name="Zoom in").click()
    near = opened.limits()
    assert near[1] - near[0] < whole[1] - whole[0]
    page.locator("#map-0").focus()
    page.keyboard.press("ArrowRight")
    assert opened.limits()[0] > near[0]
    page.keyboard.press("0")
    assert opened.limits() == pytest.approx(whole)
    page.locator("#tab-0").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector('#viewer[data-drawn="0 1"]')
    assert page.locator("#panel-1").is_visible() and not page.locator("#panel-0").is_visible()
    page.get_by_role("button", name="Colour by confidence").click()
    shown = "n => Bokeh.documents[n].roots()[0].renderers.map(one => one.visible)"
    assert page.evaluate(shown, 1) == [False, True]
    chip = page.locator("[data-domain='0']")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"
    palette = "Bokeh.documents[0].roots()[0].renderers[0].glyph.fill_color.transform.palette"
    assert set(page.evaluate(palette)[1:-1]) == {"#e8e8e8"} and page.evaluate(palette)[0] != "#e8e8e8"
    assert opened.errors == []


def test_a_large_slice_is_an_image_that_reacts(browser, plain, tmp_path, monkeypatch):
    import spotscape as sps
    from spotscape._report import _maps

    monkeypatch.setattr(_maps, "MOST_POINTS", 100)
    adata = plain(n_spots=120, n_slices=1, names=("only",), domains=("left", "right"))
    x, y = adata.obsm["spatial"].T
    adata.obs["spatial_domain"] = pd.Categorical(np.where(x < np.median(x), "left", "right"))
    adata.obs["spatial_domain_confidence"] = np.where(y < np.median(y), 0.25, 0.75)
    opened = Opened(browser, sps.report(adata, tmp_path / "r.html"))
    page = opened.page
    box = page.locator(".map")
    box.scroll_into_view_if_needed()
    place = box.bounding_box()
    for across, down, text in ((0.4, 0.3, "left 0.25"), (0.6, 0.3, "right 0.25"), (0.6, 0.7, "right 0.75")):
        page.mouse.move(place["x"] + across * place["width"], place["y"] + down * place["height"])
        page.wait_for_timeout(200)
        domain, confidence = text.split()
        assert page.locator(".tip").text_content() == f"Domain: {domain}\nConfidence: {confidence}"
    page.mouse.move(place["x"] + 3, place["y"] + 3)
    page.wait_for_timeout(200)
    assert not page.locator(".tip").is_visible()
    page.locator("[data-domain='0']").click()
    palette = page.evaluate("Bokeh.documents[0].roots()[0].renderers[0].glyph.color_mapper.palette")
    assert palette[1] == "#e8e8e8" != palette[0]
    page.get_by_role("button", name="Colour by confidence").click()
    assert page.evaluate("Bokeh.documents[0].roots()[0].renderers.map(one => one.visible)") == [False, True]
    assert opened.errors == []
    page.close()


def test_names_from_the_data_run_nothing(browser, plain, tmp_path):
    import spotscape as sps

    adata = plain(names=NASTY, domains=("<img src=x onerror=alert(2)>", "$a_b$"))
    adata.obs_names = [f"<img src=x onerror=alert({number})>" for number in range(adata.n_obs)]
    opened = Opened(browser, sps.report(adata, tmp_path / "r.html"))
    assert "<img src=x onerror=alert(" in opened.hover()
    assert opened.errors == [] and opened.page.locator("#tab-0").text_content() == NASTY[0]
    opened.page.close()


def test_it_is_readable_at_the_width_of_a_telephone(browser, written):
    opened = Opened(browser, written, width=400)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    too_wide = "() => [...document.querySelectorAll('img, .map, button')].filter(x => x.offsetWidth > 400).length"
    assert page.evaluate(too_wide) == 0
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('td')).fontSize)") >= 13
    assert opened.hover()
    page.close()


def test_it_prints_without_the_viewer(opened, tmp_path):
    opened.page.pdf(path=tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").read_bytes()[:4] == b"%PDF"
    opened.page.emulate_media(media="print")
    assert not opened.page.locator("#viewer").is_visible() and opened.page.locator("#maps img").is_visible()
