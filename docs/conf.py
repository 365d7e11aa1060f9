"""Configuration of the documentation; build with ``python3 scripts/dev.py docs``."""

import os
import shutil
import warnings
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.ext.napoleon import NumpyDocstring

DOCS = Path(__file__).parent

# an extension that has yet to follow Sphinx says so once for every signature
warnings.filterwarnings("ignore", message=".*set_application.*")

# MyST sees only what lies below docs/, and a symbolic link would not survive every system's checkout.
shutil.rmtree(DOCS / "tutorials", ignore_errors=True)
shutil.copytree(
    DOCS.parent / "tutorials", DOCS / "tutorials", ignore=shutil.ignore_patterns(".*", "__pycache__", "*.h5ad", "demo")
)

project = "spotscape"
author = "spotscape developers"
copyright = f"2026, {author}"
version = release = installed_version("spotscape")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_autodoc_typehints",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_static/**/*.md", "jupyter_execute", "**.ipynb_checkpoints"]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}

nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_default_options = {"inherited-members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
typehints_defaults = "braces"
always_use_bars_union = True

suppress_warnings = [
    # types imported for type checkers only are shown as they are written
    "sphinx_autodoc_typehints.forward_reference",
    "sphinx_autodoc_typehints.guarded_import",
    # the pages that are included from the top of the repository link to its files
    "myst.xref_missing",
]

# Other projects' inventories need the network, so the build does without unless it is asked for.
if os.environ.get("READTHEDOCS") or os.environ.get("SPOTSCAPE_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "anndata": ("https://anndata.readthedocs.io/en/stable/", None),
        "matplotlib": ("https://matplotlib.org/stable/", None),
        "mudata": ("https://mudata.readthedocs.io/en/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "pandas": ("https://pandas.pydata.org/docs/", None),
        "python": ("https://docs.python.org/3/", None),
        "scanpy": ("https://scanpy.readthedocs.io/en/stable/", None),
        "scipy": ("https://docs.scipy.org/doc/scipy/", None),
        "scvi": ("https://docs.scvi-tools.org/en/stable/", None),
        "sklearn": ("https://scikit-learn.org/stable/", None),
        "squidpy": ("https://squidpy.readthedocs.io/en/stable/", None),
        "torch": ("https://docs.pytorch.org/docs/stable/", None),
    }

html_theme = "sphinx_book_theme"
html_title = "spotscape"
html_theme_options = {
    "repository_url": "https://github.com/spotscape/spotscape",
    "use_repository_button": True,
    "path_to_docs": "docs/",
    "navigation_with_keys": False,
}


def _returns_as_prose(self: NumpyDocstring, section: str) -> list[str]:
    """Keep the words of a Returns section; napoleon would take a single line for the name of a type."""
    lines = self._dedent(self._consume_to_next_section())
    # sphinx_autodoc_typehints puts a lone colon in front, its own way to the same end
    lines = lines[1:] if lines and lines[0].strip() == ":" else lines
    return [":returns:", *self._indent(lines, 4), ""]


NumpyDocstring._parse_returns_section = _returns_as_prose


def _skip_members_of_others(
    app: Sphinx, what: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    """Leave out what a class inherits from another package, which documents it itself."""
    function = getattr(member, "fget", None) or getattr(member, "__func__", member)
    module = getattr(function, "__module__", None)
    return True if module is not None and module.split(".")[0] != "spotscape" else None


def setup(app: Sphinx) -> None:
    """Register the hooks above."""
    app.connect("autodoc-skip-member", _skip_members_of_others)
