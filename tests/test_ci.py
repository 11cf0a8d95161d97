"""The scripts behind `make`: what they do on machines other than this one, played by programs of the same names."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

OLD = """#!/bin/bash
case "$*" in --version) echo Python 3.9.2 ;; *version_info*) exit 1 ;; esac
"""
NEW = """#!/bin/bash
# Makes a .venv whose python is this script again; `pip install` is written down and does as INSTALL says.
echo "$*" >> "$CALLS"
case "$*" in
  --version) echo Python 3.12.4 ;;
  *'import ensurepip'*) ${ENSUREPIP:-true} ;;
  *'import xllamacpp'*) eval "${XLLAMACPP:-true}" ;;
  '-m playwright '*) eval "${PLAYWRIGHT:-true}" ;;
  *print*) echo python3.12-venv ;;
  '-m venv --clear .venv') rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  '-m pip install '*) eval "${INSTALL:-true}" ;;
esac
"""


class Machine:
    """A machine with the commands that it is given, and a fresh clone."""

    def __init__(self, folder: Path, **commands: str) -> None:
        self.clone, self.bin, self.calls = folder / "clone", folder / "bin", folder / "calls"
        shutil.copytree(ROOT / ".ci", self.clone / ".ci")
        (self.clone / "pyproject.toml").write_text("[project]")
        self.bin.mkdir()
        for tool in ("bash", "cat", "cksum", "cp", "mkdir", "rm", "tail", "tee", "touch", "dirname", "env"):
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        for name, script in {"id": "#!/bin/bash\necho 1000\n", **commands}.items():
            self.add(self.bin / name, script)

    @staticmethod
    def add(path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def run(self, script: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.clone / ".ci" / script, *args],
            env={"PATH": str(self.bin), "CALLS": str(self.calls), **env},
            capture_output=True,
            check=False,
            text=True,
        )

    def installs(self) -> int:
        """How often pip was asked to install."""
        return self.calls.read_text().count("-m pip install ")

    def venvs(self) -> int:
        """How often a .venv was made."""
        return self.calls.read_text().count("-m venv ")


def test_an_old_python_is_named_and_what_to_do(tmp_path: Path) -> None:
    done = Machine(tmp_path, python3=OLD).run("venv", "local")

    assert done.returncode == 1
    assert "Python 3.11 or later; python3 is Python 3.9.2" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_a_newer_python_beside_an_old_one_is_found(tmp_path: Path) -> None:
    machine = Machine(tmp_path, python3=OLD, **{"python3.12": NEW})

    assert machine.run("venv", "local").returncode == 0


def test_a_missing_venv_module_names_its_package(tmp_path: Path) -> None:
    machine = Machine(tmp_path, python3=NEW, **{"apt-get": "#!/bin/bash\n"})

    done = machine.run("venv", "local", ENSUREPIP="false")

    assert done.returncode == 1
    assert "sudo apt-get install python3.12-venv" in done.stderr
    assert not (machine.clone / ".venv").exists()


def test_root_is_brought_the_package(tmp_path: Path) -> None:
    apt = '#!/bin/bash\necho "apt $*" >> "$CALLS"\n'
    machine = Machine(tmp_path, python3=NEW, id="#!/bin/bash\necho 0\n", **{"apt-get": apt})

    assert machine.run("venv", "local", ENSUREPIP="false").returncode == 0
    assert "python3.12-venv" in machine.calls.read_text()


@pytest.mark.parametrize(
    ("importer", "library", "package"),
    [("XLLAMACPP", "libgomp.so.1", "libgomp1"), ("PLAYWRIGHT", "libatomic.so.1", "libatomic1")],
)
def test_a_library_that_a_wheel_misses_names_its_package(
    importer: str, library: str, package: str, tmp_path: Path
) -> None:
    machine = Machine(tmp_path, python3=NEW, **{"apt-get": "#!/bin/bash\n"})

    done = machine.run("venv", "test", **{importer: f"echo {library}: cannot open shared object file >&2; exit 1"})

    assert done.returncode == 1
    assert f"sudo apt-get install {package}" in done.stderr
    assert machine.run("venv", "test").returncode == 0


def test_apt_that_fails_shows_what_it_said(tmp_path: Path) -> None:
    apt = "#!/bin/bash\necho E: no such package >&2\nexit 100\n"
    machine = Machine(tmp_path, id="#!/bin/bash\necho 0\n", **{"apt-get": apt})

    done = machine.run("apt", "chromium", "for a test")

    assert done.returncode == 1
    assert "E: no such package" in done.stderr


def test_the_second_call_installs_nothing_until_pyproject_changes(tmp_path: Path) -> None:
    machine = Machine(tmp_path, python3=NEW)

    assert machine.run("venv", "local").returncode == 0
    assert machine.run("venv", "local").stdout == ""
    assert machine.installs() == 1

    (machine.clone / "pyproject.toml").write_text("[project]\n# other")
    assert machine.run("venv", "local").returncode == 0
    assert (machine.installs(), machine.venvs()) == (2, 1)


def test_each_set_of_extras_is_installed(tmp_path: Path) -> None:
    machine = Machine(tmp_path, python3=NEW)
    machine.run("venv", "local")

    machine.run("venv", "test")

    assert "-e .[test]" in machine.calls.read_text()


def test_a_venv_that_somebody_else_made_is_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path, python3=NEW)
    machine.add(machine.clone / ".venv" / "bin" / "python", NEW)
    (machine.clone / ".venv" / "mine").touch()

    assert machine.run("venv", "local").returncode == 0

    assert (machine.clone / ".venv" / "mine").exists()
    assert (machine.installs(), machine.venvs()) == (1, 0)


def test_a_venv_of_an_old_python_is_kept_and_reported(tmp_path: Path) -> None:
    machine = Machine(tmp_path, python3=NEW)
    machine.add(machine.clone / ".venv" / "bin" / "python", OLD)

    done = machine.run("venv", "local")

    assert done.returncode == 1
    assert ".venv has Python 3.9.2" in done.stderr
    assert (machine.clone / ".venv").exists()


def test_a_half_made_venv_is_made_anew(tmp_path: Path) -> None:
    machine = Machine(tmp_path, python3=NEW)
    (machine.clone / ".venv" / "lib").mkdir(parents=True)

    done = machine.run("venv", "local")

    assert done.returncode == 0
    assert "half made" in done.stdout
    assert not (machine.clone / ".venv" / "lib").exists()


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_an_installation_that_was_cut_off_starts_anew(signal: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path, python3=NEW)
    assert machine.run("venv", "local", INSTALL=f"kill -{signal} $$").returncode != 0

    done = machine.run("venv", "local")

    assert done.returncode == 0
    assert "cut off" in done.stdout
    assert (machine.installs(), machine.venvs()) == (2, 2)


def test_an_installation_that_failed_shows_why_and_is_tried_again_in_place(tmp_path: Path) -> None:
    machine = Machine(tmp_path, python3=NEW)

    failed = machine.run("venv", "local", INSTALL="echo no route to the registry >&2; exit 1")
    assert failed.returncode == 1
    assert "no route to the registry" in failed.stderr

    assert machine.run("venv", "local").returncode == 0
    assert (machine.installs(), machine.venvs()) == (2, 1)


def test_a_folder_that_moved_gets_a_new_venv(tmp_path: Path) -> None:
    machine = Machine(tmp_path, python3=NEW)
    machine.run("venv", "local")
    machine.clone = machine.clone.rename(tmp_path / "elsewhere")

    done = machine.run("venv", "local")

    assert "has moved" in done.stdout
    assert (machine.installs(), machine.venvs()) == (2, 2)


def test_without_chromium_anybody_but_root_is_told_how_and_goes_on(tmp_path: Path) -> None:
    machine = Machine(tmp_path, **{"apt-get": "#!/bin/bash\nexit 1\n"})

    done = machine.run("chromium")

    assert done.returncode == 0
    assert "sudo apt-get install chromium" in done.stderr
    assert "JLAB_CHROMIUM" in done.stderr


@pytest.mark.parametrize("name", ["chromium", "google-chrome"])
def test_a_chromium_that_is_there_is_enough(name: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path, **{name: "#!/bin/bash\n", "apt-get": "#!/bin/bash\nexit 1\n"})

    done = machine.run("chromium")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


NODE = """#!/bin/bash
case "$*" in --version) echo v16.0.0 ;; *) ${MODERN:-true} ;; esac
"""
NPM = """#!/bin/bash
echo "npm $*" >> "$CALLS"
mkdir -p node_modules
eval "${BRING:-true}"
"""


def with_lock(machine: Machine) -> Machine:
    (machine.clone / "package-lock.json").write_text("{}")
    return machine


def test_without_node_anybody_but_root_is_told_how_and_goes_on(tmp_path: Path) -> None:
    machine = with_lock(Machine(tmp_path, **{"apt-get": "#!/bin/bash\nexit 1\n"}))

    done = machine.run("node")

    assert done.returncode == 0
    assert "sudo apt-get install nodejs" in done.stderr
    assert "there is no node; going on without the checks of the scripts" in done.stderr


def test_without_node_continuous_integration_fails(tmp_path: Path) -> None:
    machine = with_lock(Machine(tmp_path, **{"apt-get": "#!/bin/bash\nexit 1\n"}))

    assert machine.run("node", CI="1").returncode == 1


def test_an_old_node_is_named(tmp_path: Path) -> None:
    machine = with_lock(Machine(tmp_path, node=NODE, npm=NPM))

    done = machine.run("node", MODERN="false")

    assert "the checks need Node 18 or later, this is v16.0.0" in done.stderr
    assert not machine.calls.exists()


def test_npm_is_asked_once_until_the_lock_file_changes(tmp_path: Path) -> None:
    machine = with_lock(Machine(tmp_path, node=NODE, npm=NPM))

    assert machine.run("node").returncode == 0
    assert machine.run("node").stdout == ""
    assert machine.calls.read_text().count("npm ci") == 1

    (machine.clone / "package-lock.json").write_text('{"other": 1}')
    assert machine.run("node").returncode == 0
    assert machine.calls.read_text().count("npm ci") == 2


def test_npm_that_fails_shows_what_it_said_and_is_asked_again(tmp_path: Path) -> None:
    machine = with_lock(Machine(tmp_path, node=NODE, npm=NPM))

    failed = machine.run("node", BRING="echo no such package >&2; exit 1")
    assert failed.returncode == 1
    assert "no such package" in failed.stderr

    assert machine.run("node").returncode == 0
    assert machine.calls.read_text().count("npm ci") == 2


@pytest.mark.parametrize("script", ["run", "venv", "chromium", "apt", "node", "ipykernel6"])
def test_scripts_can_be_run(script: str) -> None:
    assert os.access(ROOT / ".ci" / script, os.X_OK)
