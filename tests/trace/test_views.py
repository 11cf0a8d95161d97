from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.trace import views
from agentlab.trace.views import Frames, FrameViews
from tests.factories import trace_of


@pytest.mark.parametrize("name", views._HOMES)
def test_every_view_is_where_the_table_says(name: str) -> None:
    assert views.view(name) is getattr(import_module(views._HOMES[name]), name)


def test_every_frame_is_a_method_with_a_line_that_says_what_it_is() -> None:
    frames = {name for name in views._HOMES if name.endswith("_df")}

    assert {name for name in vars(Frames) if name.endswith("_df")} == frames
    for name in frames:
        assert inspect.getdoc(getattr(Frames, name))
        assert name in dir(FrameViews)


def test_a_lab_has_frames_and_pictures_of_all_its_runs() -> None:
    assert Lab().runs_df().empty
    assert Lab().plot().texts[0].get_text().startswith("nothing to show: ")
    with pytest.raises(InputError, match="one run or trace is needed here"):
        Lab().plot("waterfall")


def test_a_trace_has_frames_and_a_picture() -> None:
    trace = trace_of(3)

    assert trace.steps_df()["step"].tolist() == [1, 2, 3]
    assert trace.plot().get_ylabel() == "step"
    assert trace.plot("token_gaps", definition="vllm").get_title(loc="left").endswith("as vllm counts them")
    with pytest.raises(InputError, match="there is no plot 'pie'; there are waterfall, "):
        trace.plot("pie")  # type: ignore[arg-type]


def test_views_load_nothing_before_they_are_asked() -> None:
    code = "import sys, agentlab.trace.views; print('pandas' in sys.modules, 'agentlab.analysis.frames' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert done.stdout.split() == ["False", "False"]
