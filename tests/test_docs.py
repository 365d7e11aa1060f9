"""What the documentation says of the files of the repository."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_files_named_on_the_page_about_extending_exist():
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    names = {name for name in re.findall(r"`([\w./]+)`", text) if name.endswith(("/", ".py", ".md", ".toml", ".bib"))}
    named = {name for name in names if not re.search(r"\bmy_|_my_", name)}
    assert len(named) > 30
    assert not {
        name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "src" / "spotscape"))
    }


def test_tests_named_on_the_page_of_promises_exist():
    text = (ROOT / "docs" / "user_guide" / "promises.md").read_text(encoding="utf-8")
    names = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(names) > 15
    assert not [name for path, name in names if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")]


def test_pages_link_to_pages_that_exist():
    docs = ROOT / "docs"
    folders = ("", "user_guide/", "benchmarks/", "concepts/")
    pages = [page for folder in folders for page in docs.glob(f"{folder}*.md")]
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        names = re.findall(r"\{doc\}`(?:[^`<]*<)?([\w/.]+)>?`", text) + re.findall(
            r":link: (\S+)\n:link-type: doc", text
        )
        for name in names:
            target = docs / name[1:] if name.startswith("/") else page.parent / name
            source = (
                ROOT / "tutorials" / f"{target.name}.ipynb"
                if "tutorials" in target.parts
                else target.with_suffix(".md")
            )
            assert source.exists(), f"{page.name} links to {name}"
        for name, anchor in re.findall(r"\]\((/?[\w/]*\.md)?#([\w-]+)\)", text):
            target = page if not name else docs / name[1:] if name.startswith("/") else page.parent / name
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name} links to {name}#{anchor}"
