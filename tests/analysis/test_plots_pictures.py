"""Every plot as a picture, against the one in `baseline/`; `python -m tests.analysis.pictures` draws those anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.testing.compare import compare_images

from agentlab.analysis import plots
from tests.analysis.pictures import BASELINE, PICTURES, render

TOLERANCE_RMS = 2.0
"""Of 255: edges may be smoothed a little differently."""

LARGEST_BYTES = 30_000


@pytest.mark.parametrize(("name", "draw"), [(name, draw) for name, (draw, _) in PICTURES.items()], ids=list(PICTURES))
def test_a_plot_looks_as_it_did(name: str, draw: Callable[[Axes], Axes], tmp_path: Path) -> None:
    render(draw, tmp_path / f"{name}.png")

    assert compare_images(str(BASELINE / f"{name}.png"), str(tmp_path / f"{name}.png"), TOLERANCE_RMS) is None


@pytest.mark.parametrize(("name", "draw"), [(name, draw) for name, (_, draw) in PICTURES.items()], ids=list(PICTURES))
def test_a_plot_of_other_data_is_noticed(name: str, draw: Callable[[Axes], Axes], tmp_path: Path) -> None:
    render(draw, tmp_path / f"{name}.png")

    assert compare_images(str(BASELINE / f"{name}.png"), str(tmp_path / f"{name}.png"), 2 * TOLERANCE_RMS) is not None


def test_there_is_a_picture_of_every_plot_and_none_is_large() -> None:
    files = {path.stem: path.stat().st_size for path in BASELINE.iterdir()}

    assert set(files) == set(PICTURES) == set(plots.__all__) - {"save_picture"}
    assert max(files.values()) < LARGEST_BYTES
