"""A JupyterLab for each module of tests: with this environment's kernel, and with ipykernel 6 under that name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.browser.jlab import JLab, find_chromium, notebook

ROOT = Path(__file__).resolve().parents[2]
KERNEL_6 = ROOT / ".venv" / "ipykernel6" / "bin" / "python"

Opening = Callable[..., JLab]


def cannot(told: str) -> NoReturn:
    """Skip; fail in continuous integration, where nothing may be missing."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    raise AssertionError


@pytest.fixture(scope="module", params=["jupyterlab"])
def lab(request: pytest.FixtureRequest) -> Iterator[JLab]:
    """A front end; a module may ask for another `app` by parametrising this fixture."""
    if find_chromium() is None:
        cannot("no Chromium: install one (`apt-get install chromium`), or set JLAB_CHROMIUM to its path")
    if not KERNEL_6.exists():
        cannot("no environment with ipykernel 6: make it by `.ci/ipykernel6`")
    env = {"PYTHONPATH": str(ROOT), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    with JLab(env=env, app=request.param, kernels={"ipykernel6": str(KERNEL_6)}) as started:
        started.page.context.set_default_timeout(20_000)
        yield started


@pytest.fixture
def opened(lab: JLab, request: pytest.FixtureRequest) -> Iterator[Opening]:
    """Opens a notebook of these cells, and gives the front end that shows it.

    Page and kernel of the test before are used again, unless it failed or did something to them: a start takes seconds.
    """
    failed = request.session.testsfailed

    def open_notebook(*cells: str, kernel: str = "python3") -> JLab:
        if lab.spare == (kernel, lab.starts):
            lab.set_cells(list(cells))
        else:
            if lab.starts:
                lab.shut_kernels()
            name = f"{request.node.originalname}-{lab.starts}.ipynb"
            lab.add(name, notebook(list(cells), kernel=kernel))
            lab.open_notebook(name)
        lab.spare = kernel, lab.starts
        lab.console.clear()
        lab.given_up.clear()
        return lab

    yield open_notebook
    if request.session.testsfailed > failed:
        lab.spare = None
