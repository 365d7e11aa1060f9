#!/usr/bin/env python3
"""One command for each thing a developer or a curious reader does, from a bare checkout.

    python3 scripts/dev.py demo        analyse the built-in tissue; pictures and tables go to demo/
    python3 scripts/dev.py test        run the tests; further arguments go to pytest
    python3 scripts/dev.py docs        build the documentation; warnings are errors
    python3 scripts/dev.py tutorials   execute the tutorials with short training; --full trains as they say
    python3 scripts/dev.py lint        check style, formatting and spelling
    python3 scripts/dev.py types       check the types of the package and its tests

The first call makes the folder .venv in the checkout and installs the pinned packages of constraints.txt, with a
PyTorch for processors only; later calls reuse it for as long as pyproject.toml and constraints.txt ask for the same.
Needs nothing but Python 3.11 or newer.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        f"spotscape needs Python 3.11 or newer, and this is Python {platform.python_version()}. "
        "Run the same command with a newer interpreter, for example: python3.12 scripts/dev.py demo"
    )

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "spotscape-environment.json"
TORCH = "2.13.0"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"

# What each command needs beside the package itself: (extras, dependency groups).
NEEDS = {
    "demo": (["leiden"], []),
    "test": (["all"], ["test"]),
    "docs": ([], ["docs"]),
    # what shows notebooks also executes them
    "tutorials": (["all"], ["docs"]),
    "lint": (None, ["lint"]),
    # mypy takes what is not installed for anything, so it must see what the tests import
    "types": (["all"], ["dev", "test"]),
}


def main() -> int:
    """Prepare the environment, run the command in it and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=NEEDS)
    parser.add_argument("further", nargs=argparse.REMAINDER, help="passed on to what the command runs")
    arguments = parser.parse_args()

    extras, groups = NEEDS[arguments.command]
    with _only_one_at_a_time():
        prepare_environment(extras, groups)

    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1"}
    if arguments.command == "test":
        # two worker processes of many threads each would only fight for the cores
        environment.setdefault("OMP_NUM_THREADS", "1")
        # numba sets the number of OpenMP threads of the process to its own.
        environment.setdefault("NUMBA_NUM_THREADS", "1")
    for command in _command_lines(arguments.command, arguments.further):
        _say("running: " + " ".join([Path(command[0]).name, *command[1:]]))
        code = subprocess.run(command, cwd=ROOT, env=environment).returncode
        if code:
            return code
    return 0


def prepare_environment(extras: list[str] | None, groups: list[str]) -> None:
    """Make ``.venv`` hold the package, its extras and the dependency groups; do nothing where it does already.

    ``extras=None`` installs the groups alone, without the package and what it depends on.
    """
    wanted = {"groups": set(groups), "extras": set() if extras is None else {"package", *extras}}
    present: dict[str, set[str]] = {"groups": set(), "extras": set()}
    stamp = _read_stamp()
    if stamp is not None and stamp["fingerprint"] == _fingerprint():
        present = {key: set(stamp[key]) for key in wanted}
        if all(wanted[key] <= present[key] for key in wanted):
            return
        wanted = {key: wanted[key] | present[key] for key in wanted}
    else:
        _make_environment(replace=stamp is not None)

    start = time.monotonic()
    if wanted["extras"] and not present["extras"]:
        _say("installing PyTorch for processors (once, a few minutes in all)")
        _install_torch()
    parts = ["spotscape"] if wanted["extras"] else []
    _say("installing " + ", ".join(parts + [f"the {group} group" for group in sorted(wanted["groups"])]))
    requirements = [line for group in sorted(wanted["groups"]) for line in _group(group)]
    if wanted["extras"]:
        names = ",".join(sorted(wanted["extras"] - {"package"}))
        requirements += ["--editable", f".[{names}]" if names else ".", f"torch=={_installed_torch()}"]
    # no torch in this step but the one that is there: another would bring gigabytes of CUDA
    _pip("install", "--constraint", "constraints.txt", *requirements)
    _write_stamp(_fingerprint(), **wanted)
    _say(f"environment ready after {time.monotonic() - start:.0f} s")


def _command_lines(command: str, further: list[str]) -> list[list[str]]:
    python = str(_binary("python"))
    if command == "demo":
        return [[str(_binary("spotscape")), "demo", "--out", "demo", "--force", *further]]
    if command == "test":
        return [[python, "-m", "pytest", "-n", "2", *further]]
    if command == "docs":
        return [[python, "-m", "sphinx", "-W", "--keep-going", "docs", "docs/_build/html", *further]]
    if command == "tutorials":
        return [[python, "scripts/tutorials.py", *further]]
    if command == "types":
        return [[python, "-m", "mypy", *further]]
    style = [[python, "-m", "ruff", "check", *further], [python, "-m", "ruff", "format", "--check", *further]]
    return [*style, [python, "-m", "codespell_lib", *further]]


def _make_environment(*, replace: bool) -> None:
    if replace:
        _say("pyproject.toml or constraints.txt changed: making .venv anew")
        shutil.rmtree(ENVIRONMENT)
    elif ENVIRONMENT.exists():
        sys.exit(f"{ENVIRONMENT} exists and was not made by this script. Move it away or delete it, and run again.")
    else:
        _say(f"making an environment for Python {platform.python_version()} in .venv")
    ENVIRONMENT.mkdir()
    # written first, so that an interrupted installation is recognised as ours and replaced
    _write_stamp("incomplete", groups=set(), extras=set())
    venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(ENVIRONMENT)


def _install_torch() -> None:
    if sys.platform != "linux":
        _pip("install", f"torch=={TORCH}")
        return
    # PyPI's Linux wheels carry CUDA. A wheel that pip has at hand (find-links) is found at once, without a download.
    if _pip("install", "--constraint", "constraints.txt", f"torch=={TORCH}+cpu", must_work=False):
        return
    _say(f"fetching PyTorch from {CPU_INDEX}")
    _pip("install", f"torch=={TORCH}", "--index-url", CPU_INDEX)


def _installed_torch() -> str:
    script = "from importlib.metadata import version; print(version('torch'))"
    return subprocess.run([_binary("python"), "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def _pip(*arguments: str, must_work: bool = True) -> bool:
    """Run pip in the environment; show what it said only where it failed and must not."""
    command = [str(_binary("python")), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    run = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if run.returncode and must_work:
        print(run.stdout[-6000:], flush=True)
        sys.exit(f"Installing failed; pip's own words are above. The command was: {' '.join(command)}")
    return run.returncode == 0


def _group(name: str) -> list[str]:
    """List the requirements of a dependency group, included groups resolved; older releases of pip cannot."""
    lines: list[str] = []
    for entry in _pyproject()["dependency-groups"][name]:
        lines += _group(entry["include-group"]) if isinstance(entry, dict) else [entry]
    return lines


def _pyproject() -> dict:
    import tomllib  # not at the top: older interpreters must get as far as the message about their age

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _fingerprint() -> str:
    """Digest of everything that decides what is installed; settings of tools do not."""
    pyproject = _pyproject()
    parts = {key: pyproject.get(key) for key in ("build-system", "project", "dependency-groups")}
    parts["constraints"] = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    parts["interpreter"] = [sys.version, sys.platform, platform.machine(), TORCH, str(ROOT)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read_stamp() -> dict | None:
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError:
        return {"fingerprint": "unreadable", "groups": [], "extras": []}


def _write_stamp(fingerprint: str, *, groups: set[str], extras: set[str]) -> None:
    content = {"fingerprint": fingerprint, "groups": sorted(groups), "extras": sorted(extras)}
    STAMP.write_text(json.dumps(content, indent=1), encoding="utf-8")


@contextlib.contextmanager
def _only_one_at_a_time():
    """Let a second process wait until the first has finished the environment, and then reuse it."""
    with open(ROOT / ".venv.lock", "w") as file:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say("another process is preparing the environment: waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _binary(name: str) -> Path:
    return ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin") / (f"{name}.exe" if os.name == "nt" else name)


def _say(message: str) -> None:
    print(f"[dev] {message}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
