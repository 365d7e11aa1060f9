"""What is stored in ``uns``."""

from collections.abc import Mapping
from typing import Any


def without_none(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out entries that are ``None``: anndata before 0.12 and the readers for R refuse a file that holds one."""
    return {name: value for name, value in entries.items() if value is not None}
