"""Environments of other packages that find domains, made by pip."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.processes import ROOT, module_command, module_environment
from benchmarks.common.registry import PEERS

CONSTRAINTS = ROOT / "constraints.txt"


def prepare(name: str, folder: Path, tissue: Path, torch_index_url: str | None = None) -> Path:
    """Make the environment of a peer, unless it is there, and return its Python.

    The peer then runs once: so it is known to work, and what it compiles at the first time is in no measurement.

    Parameters
    ----------
    name
        Key of :data:`~benchmarks.common.registry.DOMAIN_PEERS`.
    folder
        Folder with the environments of all peers.
    tissue
        Small tissue for the first run.
    torch_index_url
        Index that PyTorch is taken from, for example that of the builds without CUDA. ``None``: pip's own.

    Raises
    ------
    subprocess.CalledProcessError
        If pip or the first run fails; what they said is printed.
    """
    environment = (folder / name).absolute()
    python, peer = environment / "bin" / "python", PEERS[name]
    # The version keeps pip from replacing the PyTorch that was installed first.
    torch = [f"torch=={torch_version()}"] if peer.needs_torch else []
    marker, content = environment / "requirements.sha256", " ".join([*torch, *peer.requirements])
    digest = hashlib.sha256(content.encode()).hexdigest()
    if marker.exists() and marker.read_text() == digest:
        return python
    print(f"Making the environment of {peer.title}: {content}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
    if torch:
        _install(python, [*torch, *(["--index-url", torch_index_url] if torch_index_url else [])])
    _install(python, [*torch, *peer.requirements])
    command = module_command(f"peers.{name}", tissue, environment / "first_run.json", python=python)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | module_environment())
    marker.write_text(digest)
    return python


def torch_version() -> str:
    """Version of PyTorch that the project's own environments have."""
    found = re.search(r"^torch==([\d.]+)", CONSTRAINTS.read_text(), flags=re.MULTILINE)
    if found is None:
        raise ValueError(f"{CONSTRAINTS.name} names no version of torch; add a line such as torch==2.13.0.")
    return found[1]


def _install(python: Path, arguments: Sequence[str]) -> None:
    subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True)
