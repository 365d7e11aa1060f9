"""A small analysis with a report, made once."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import spotscape as sps
from spotscape.datasets import synthetic_tissue

#: Names that would be markup, mathematics or a gap in a script if they were not shown as text.
NASTY = ["<script>alert(1)</script>", "b\"' onload=x & $x^2$ </script>"]


class Page(HTMLParser):
    """Elements of a page with their attributes, the text of each section, and the scripts."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "hr"})

    def __init__(self, html):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.text_of: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.section = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = dict(attrs)["id"] or ""
            self.sections[self.section] = ""
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"
        if self.section and tag in ("td", "th", "li", "p", "summary"):
            self.sections[self.section] += "\n"

    def handle_data(self, data):
        self.text_of.append((self.open[-1] if self.open else "", data))
        if self.section and "script" not in self.open and "style" not in self.open:
            self.sections[self.section] = self.sections.get(self.section, "") + data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def tissue(n_spots=150, n_slices=2, seed=0):
    """Sections with the latent representation of a small model, domains, and all results that a report shows."""
    adata = synthetic_tissue(n_slices=n_slices, n_spots=n_spots, n_genes=60, n_domains=4, seed=seed)
    sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = sps.SPOTSCAPE(adata, n_hidden=16, n_latent=8, n_prototypes=(3, 5))
    model.train(8, enable_progress_bar=False)
    adata.obsm["X_spotscape"] = model.get_latent_representation()
    sps.tl.choose_n_domains(adata, n_domains=range(2, 5), n_splits=2, n_init=1)
    sps.tl.domains(adata, n_domains=4, n_init=5)
    return adata, model


@pytest.fixture(scope="session")
def analysed():
    return tissue()


@pytest.fixture(scope="session")
def written(analysed, tmp_path_factory):
    """Path of a report with everything."""
    adata, model = analysed
    return sps.report(adata, tmp_path_factory.mktemp("report") / "report.html", model=model)


@pytest.fixture(scope="session")
def page(written):
    return Page(written.read_text(encoding="utf-8"))


@pytest.fixture
def plain():
    """Sections with domains and nothing else."""

    def make(n_spots=60, n_slices=2, names=("a", "b"), domains=("1", "2")):
        rng = np.random.default_rng(0)
        adata = synthetic_tissue(n_slices=1, n_spots=n_spots * n_slices, n_genes=40, n_domains=3, seed=0)
        adata.obs["slice"] = pd.Categorical(np.repeat(names[:n_slices], n_spots))
        adata.obs["spatial_domain"] = pd.Categorical(rng.choice(domains, n_spots * n_slices), categories=domains)
        adata.obs["spatial_domain_confidence"] = rng.uniform(0.6, 1, n_spots * n_slices)
        return adata

    return make
