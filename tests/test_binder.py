"""What Binder would build from `binder/`, read off the Dockerfile that repo2docker writes without Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def repo2docker(folder: Path) -> tuple[int, str]:
    """Exit status, and the log and Dockerfile of a dry run."""
    done = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout


def python_of(log: str) -> str:
    """The version of Python in the image."""
    found = re.search(r"Building conda environment for python=(\S+)", log)
    return found[1] if found else ""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of what Binder looks at, to be spoilt."""
    shutil.copytree(ROOT / "binder", tmp_path / "binder")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_binder_builds_on_the_python_that_we_ask_for() -> None:
    status, log = repo2docker(ROOT)

    assert status == 0, log
    assert python_of(log) == "3.11"


def test_binder_installs_our_requirements_after_the_sources_are_there() -> None:
    _, log = repo2docker(ROOT)

    lines = log.splitlines()
    install = next(n for n, line in enumerate(lines) if re.search(r'pip install .*-r "binder/requirements.txt"', line))
    assert lines.index("COPY --chown=0:0 src/ ${REPO_DIR}/") < install < lines.index("RUN ./binder/postBuild")


@pytest.mark.parametrize("runtime", ["", "python3.11", "python-4.2", "python-3.11-beta"])
def test_a_runtime_that_binder_cannot_read_fails(runtime: str, repository: Path) -> None:
    (repository / "binder" / "runtime.txt").write_text(runtime)

    status, log = repo2docker(repository)

    assert status != 0
    assert "runtime.txt" in log or "is not supported" in log


@pytest.mark.parametrize("runtime", ["pyhton-3.11", None], ids=["misspelt", "missing"])
def test_a_runtime_that_binder_passes_over_shows_in_the_python(runtime: str | None, repository: Path) -> None:
    file = repository / "binder" / "runtime.txt"
    file.write_text(runtime) if runtime else file.unlink()

    status, log = repo2docker(repository)

    assert status == 0
    assert python_of(log) != "3.11"


def test_binder_asks_for_extras_that_exist_and_versions_newer_than_its_image() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    line = (ROOT / "binder" / "requirements.txt").read_text().strip()

    extras = re.fullmatch(r"-e \.\[([\w,]+)\]", line)
    assert extras is not None
    assert {"notebook", "local"} <= set(extras[1].split(",")) <= set(project["optional-dependencies"])
    lowest = [*project["dependencies"], *project["optional-dependencies"]["notebook"]]
    assert {"jupyterlab>=4.6", "ipykernel>=7.4", "ipywidgets>=8.1.9"} <= set(lowest)


@pytest.mark.local_model
def test_post_build_starts_the_embedded_model() -> None:
    script = ROOT / "binder" / "postBuild"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        [script], cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, check=True, text=True
    )

    assert "does not start" not in done.stdout
