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
