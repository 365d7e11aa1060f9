"""The rules of the house, held against the files themselves."""

import ast
import contextlib
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import spotscape

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "spotscape"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_LINES = 400

FOLDERS = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}

# What each folder may import besides itself and the private modules at the top. Every folder is listed.
FOUNDATIONS = {"cluster", "data", "graph", "metrics", "module", "nn", "novelty", "preprocessing", "train"}
MAY_IMPORT = {
    "nn": set(),
    "metrics": set(),
    "graph": set(),
    "cluster": set(),
    "train": set(),
    "datasets": set(),
    "novelty": {"graph"},
    "preprocessing": {"graph"},
    "data": {"preprocessing", "graph"},
    "module": {"nn"},
    "model": FOUNDATIONS - {"metrics", "nn"},
    "io": FOUNDATIONS | {"model"},
    "pp": {"graph", "preprocessing"},
    "get": set(),
    "tl": FOUNDATIONS | {"model", "pp"},
    "pl": FOUNDATIONS | {"model", "pp", "tl", "get"},
    "_report": FOUNDATIONS | {"model", "pp", "tl", "pl", "get"},
}
# The private modules at the top: those that every folder may import know no folder, the others may know all.
SHARED = {
    *("_arguments.py", "_bars.py", "_centroids.py", "_constants.py", "_distributed.py", "_images.py"),
    *("_places.py", "_slices.py", "_uns.py", "_validate.py", "_write.py", "_write_system.py"),
}
ON_TOP = {
    *("__main__.py", "_cli.py", "_commands.py", "_config.py", "_exports.py", "_mapping.py"),
    *("_progress.py", "_results.py", "_workflow.py"),
}

# Methods that lead from a model to functions for its data, by imports inside them.
SHORTCUTS = "model/_shortcuts.py"

# Folders and files (below src/spotscape) that must do without a library, wherever in the file it is imported.
MODELS = {"lightning", "scvi", "torch", "torch_geometric"}
ANALYSIS = {"scanpy", "squidpy"}
CONTAINERS = {"anndata", "mudata"}
MUST_NOT_IMPORT = {
    "nn": CONTAINERS | ANALYSIS | {"lightning", "pandas", "scvi", "sklearn"},
    "metrics": CONTAINERS | ANALYSIS | MODELS,
    "module": CONTAINERS | ANALYSIS | {"pandas", "sklearn"},
    "train": CONTAINERS | ANALYSIS,
    "datasets": MODELS,
    "graph": ANALYSIS | MODELS | {"mudata", "sklearn"},
    "graph/_build.py": {"anndata"},
    "preprocessing": CONTAINERS | ANALYSIS | {"lightning", "scvi", "torch_geometric"},
    "preprocessing/_preprocessor.py": MODELS,
    "cluster": CONTAINERS | ANALYSIS | MODELS,
    "novelty": CONTAINERS | ANALYSIS | MODELS | {"pandas"},
    "get": ANALYSIS | MODELS,
    "_validate.py": CONTAINERS | ANALYSIS | MODELS | {"pandas", "sklearn"},
}


# ------------------------------------------------------------------------------------------------ imports


@cache
def imported_modules(path: Path) -> frozenset[str]:
    """Full names of all modules that a file imports, relative imports resolved, those inside functions included."""
    package = ["spotscape", *path.relative_to(SOURCE).parent.parts]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return frozenset(names)


def test_imports_are_found_in_every_form(tmp_path, monkeypatch):
    (tmp_path / "tl").mkdir()
    path = tmp_path / "tl" / "_x.py"
    path.write_text("import a.b\nfrom ..nn import c\nfrom . import d\ndef f():\n    from spotscape.model import e\n")
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    found = imported_modules(path)
    assert {"a.b", "spotscape.nn", "spotscape.nn.c", "spotscape.tl.d", "spotscape.model"} <= found


def below(place: str) -> list[Path]:
    """Files of a folder or file below src/spotscape, which must be there."""
    path = SOURCE / place
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert files, f"src/spotscape/{place} is named in this test but does not exist"
    return files


def imports_of_folders(path: Path, wrong: set[str]) -> list[str]:
    return [
        f"{path.relative_to(SOURCE)} imports {name}"
        for name in sorted(imported_modules(path))
        if name.startswith("spotscape.") and name.split(".")[1] in wrong
    ]


def test_every_folder_and_top_level_module_has_its_rule():
    assert FOLDERS == MAY_IMPORT.keys()
    assert {path.name for path in SOURCE.glob("*.py")} == SHARED | ON_TOP | {"__init__.py"}


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_nothing_imports_upwards(folder):
    forbidden = FOLDERS - MAY_IMPORT[folder] - {folder}
    files = [path for path in below(folder) if path != SOURCE / SHORTCUTS]
    assert not [line for path in files for line in imports_of_folders(path, forbidden)]
    on_top = {name.removesuffix(".py") for name in ON_TOP}
    assert not [line for path in below(folder) for line in imports_of_folders(path, on_top)]


@pytest.mark.parametrize("file", sorted(SHARED))
def test_shared_modules_at_the_top_import_no_folder(file):
    assert not [line for path in below(file) for line in imports_of_folders(path, FOLDERS)]


@pytest.mark.parametrize("place", sorted(MUST_NOT_IMPORT))
def test_libraries_stay_where_they_belong(place):
    wrong = [
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in below(place)
        for name in imported_modules(path)
        if name.split(".")[0] in MUST_NOT_IMPORT[place]
    ]
    assert not wrong


# ----------------------------------------------------------------------------------------- public names


def public_modules() -> dict[str, ModuleType]:
    names = [info.name for info in pkgutil.iter_modules(spotscape.__path__) if not info.name.startswith("_")]
    modules = {"spotscape": spotscape}
    return modules | {f"spotscape.{name}": importlib.import_module(f"spotscape.{name}") for name in names}


def exported() -> dict[str, object]:
    """All public names but those of modules, with what they stand for."""
    names = {
        f"{module_name}.{name}": getattr(module, name)
        for module_name, module in public_modules().items()
        for name in getattr(module, "__all__", ())
    }
    return {name: value for name, value in names.items() if not isinstance(value, ModuleType)}


def documented() -> list[str]:
    """Full names in the autosummary blocks of the two pages of the API."""
    names, module, inside = [], "", False
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("api.md", "api_developers.md")]
    for line in "\n".join(pages).splitlines():
        if match := re.match(r"\.\. currentmodule:: (\S+)", line):
            module = match[1]
        elif line.startswith(".. autosummary::"):
            inside = True
        elif inside and (match := re.match(r"\s+([A-Za-z_][\w.]*)$", line)):
            names.append(f"{module}.{match[1]}")
        elif inside and line and not line.startswith(" "):
            inside = False
    return names


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name == "__init__.py"], ids=lambda path: path.parent.name
)
def test_packages_say_what_is_public(path):
    stub = path.with_suffix(".pyi")
    assert stub.is_file() and "lazy_loader.attach_stub" in path.read_text(encoding="utf-8")
    # The names are those of the stub, and each exists.
    named = {
        alias.name
        for node in ast.walk(ast.parse(stub.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    module = importlib.import_module(".".join(["spotscape", *path.relative_to(SOURCE).parent.parts]))
    assert set(module.__all__) == named
    assert [name for name in named if not hasattr(module, name)] == []


def test_importing_the_package_loads_no_heavy_library():
    heavy = "anndata lightning matplotlib pandas scanpy scipy scvi sklearn torch torch_geometric".split()
    code = f"import sys, spotscape; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_names_in_all_exist_and_are_listed_once():
    for name, module in public_modules().items():
        listed = list(getattr(module, "__all__", ()))
        assert len(set(listed)) == len(listed), name
        assert [entry for entry in listed if not hasattr(module, entry)] == [], name


def test_every_public_name_is_documented():
    names = documented()
    # a name that is exported in two places is described in one of them
    described = {id(value) for name, value in exported().items() if name in names and callable(value)}
    missing = [name for name, value in exported().items() if name not in names and id(value) not in described]
    assert not missing, "add these to docs/api.md, or to docs/api_developers.md"


def test_every_documented_name_is_public():
    names = documented()
    assert len(set(names)) == len(names)
    assert [name for name in names if name not in exported()] == []


def test_every_public_name_has_a_docstring_without_leftovers():
    for name, value in exported().items():
        if not callable(value):
            continue
        methods: dict[str, object] = dict(vars(value)) if inspect.isclass(value) else {}
        texts = {name: inspect.getdoc(value)} | {
            f"{name}.{key}": inspect.getdoc(getattr(value, key))
            for key, method in methods.items()
            if not key.startswith("_") and (callable(method) or isinstance(method, (classmethod, property)))
        }
        for key, text in texts.items():
            assert text, f"{key} has no docstring"
            assert "%(" not in text, f"{key} has a placeholder that was not filled in"


# ------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_cited_sources_are_listed():
    keys = re.findall(
        r"^@\w+\{([^,\s]+),", (ROOT / "docs" / "references.bib").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(set(keys)) == len(keys)
    citation = re.compile(r"(?::cite:[a-z]+:|\{cite:[a-z]+\})`([^`]+)`")
    pages = [
        page
        for folder in ("", "user_guide/", "benchmarks/", "concepts/")
        for page in (ROOT / "docs").glob(f"{folder}*.md")
    ]
    texts = [path.read_text(encoding="utf-8") for path in [*FILES, *pages]]
    cited = {key.strip() for text in texts for group in citation.findall(text) for key in group.split(",")}
    assert cited - set(keys) == set()


def test_the_citation_names_this_version_and_sources_that_are_listed():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    for key in ("name", "version", "license"):
        field = "title" if key == "name" else key
        assert re.search(rf"^{field}: {re.escape(project[key])}$", citation, re.MULTILINE), key
    sources = re.findall(r"^    doi: (\S+)$|arXiv:([\d.]+)", citation, re.MULTILINE)
    listed = (ROOT / "docs" / "references.bib").read_text(encoding="utf-8")
    assert len(sources) == 3
    assert [source for source in map("".join, sources) if source not in listed] == []


@cache
def tracked_texts() -> dict[str, str]:
    """Contents of all text files under version control, by their path from the top."""
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("this is no checkout, or git is not installed")
    texts = {}
    for name in filter(None, listing.split("\0")):
        # a tracked file may have been deleted a moment ago, and pictures are not text
        with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
            texts[name] = (ROOT / name).read_text(encoding="utf-8")
    return texts


def test_no_file_knows_the_machine_it_was_written_on():
    texts = tracked_texts()
    assert {"README.md", "pyproject.toml", ".ci/run", "tests/test_project.py"} <= texts.keys()
    home = re.compile(r"(?<![\w./~-])/(?:work|root|home|Users|tmp|opt)/\w")
    # also as it is written with pathlib
    sibling = re.compile(r"""\.\.["']?\s*[/,]\s*["']?shared\b""")
    wrong = [
        f"{name}: {line.strip()[:100]}"
        for name, text in texts.items()
        for line in text.splitlines()
        if home.search(line) or (sibling.search(line) and name != ".ci/run")
    ]
    assert not wrong


def test_real_sections_are_looked_for_in_one_place():
    named = {name for name, text in tracked_texts().items() if "SPOTSCAPE_DATA" in text}
    assert {name for name in named if name.startswith("tests/")} == {"tests/conftest.py", "tests/test_project.py"}


def test_pinned_versions_work_with_the_oldest_python():
    pinned = [
        Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"
    ]
    oldest = {"python_full_version": "3.11.0", "python_version": "3.11"}
    for_oldest = {
        canonicalize_name(one.name): one for one in pinned if one.marker is None or one.marker.evaluate(oldest)
    }
    refused = [
        f"{name} {found.version} needs Python {required}"
        for found in distributions()
        if (name := canonicalize_name(found.metadata["Name"])) in for_oldest
        and found.version in for_oldest[name].specifier
        and (required := found.metadata.json.get("requires_python"))
        and "3.11.0" not in SpecifierSet(required)
    ]
    assert not refused, refused
