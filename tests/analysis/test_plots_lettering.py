"""Names that others chose never break a picture, nor do they act in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.font_manager import FontEntry, FontProperties, findfont, get_font
from matplotlib.text import Text

from agentlab.analysis.compare import compare
from agentlab.analysis.comparison import Comparison
from agentlab.analysis.plots import context_growth, cost_vs_success, forest, token_gaps, ttft_ecdf, waterfall
from agentlab.analysis.plots import lettering as lettering_module
from agentlab.analysis.plots.lettering import LABEL_CHARS, column_label, label, labels, lettering
from agentlab.trace.trace import Trace
from tests.analysis.pictures import study
from tests.factories import Story, reply, tool

HOSTILE = (
    r"$\frac{1}{0}$",
    "costs $5 ^_^ {",
    "\u202egpj.exe",  # turns the direction of what follows
    "a\u200bb\x07",  # hides, and rings
    "one\ntwo\r\nthree",
    "x" * 3000 + "end",
    "北京大学",
    "مرحبا",
    "👩\u200d👩\u200d👧 🐈\ufe0f",
    "\uffff",  # no character
    "\ue000",  # of private use
    "Z" + "\u0335\u0489" * 40,
    "_nolegend_",
    "100 % %s {}",
    "",
    "<script>alert(1)</script>",
)


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def runs_of(*variants: str) -> list[Trace]:
    """Two runs of each variant."""
    found = []
    for number, name in enumerate(variants * 2):
        story = Story(f"run-{number}", tags={"variant": name})
        found.append(story.step(reply(calls=["f"]), tool("f")).end())
    return found


def run_of(*names: str) -> Trace:
    """A run whose agent and tools have these names."""
    story = Story(agent_name=" ".join(names))
    for name in names:
        story.step(reply(calls=["f"]), tool(name))
    return story.end()


def study_of(*names: str) -> pd.DataFrame:
    runs = study()
    small = runs[runs["variant"] == "small"]
    return pd.concat([small.assign(variant=name) for name in names])


def comparisons_of(*names: str) -> list[Comparison]:
    runs = study()
    a, b = (runs[runs["variant"] == variant] for variant in ("small", "large"))
    found = compare(a, b, "solved", n_resamples=100)
    return [replace(found, metric=name) for name in names]


PLOTS: dict[str, Callable[..., Axes]] = {
    "waterfall": lambda *names: waterfall(run_of(*names)),
    "ttft_ecdf": lambda *names: ttft_ecdf(runs_of(*names), by="variant"),
    "token_gaps": lambda *names: token_gaps(runs_of(*names), by="variant"),
    "context_growth": lambda *names: context_growth(runs_of(*names), by="variant"),
    "cost_vs_success": lambda *names: cost_vs_success(study_of(*names), success="solved", n_resamples=100),
    "forest": lambda *names: forest(comparisons_of(*names)),
}


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_hostile_names_are_drawn_without_an_error_or_a_warning(plot: Callable[..., Axes]) -> None:
    ax = plot(*HOSTILE)

    ax.figure.savefig(BytesIO(), format="png", dpi=40)  # warnings are errors
    written = [text.get_text() for text in ax.figure.findobj(Text) if text.get_text()]
    assert any("⟨U+202E⟩gpj.exe" in text for text in written)
    assert not any(char in text for text in written for char in "\u202e\u200b\x07\n")
    assert max(map(len, written)) < 160


@pytest.mark.parametrize("columns", [("solved", "cost_usd"), ("cost_usd", "solved")])
def test_hostile_names_of_columns_are_drawn_too(columns: tuple[str, str]) -> None:
    for name in (HOSTILE[0], HOSTILE[2], HOSTILE[6], "", "{}"):
        runs = study().rename(columns={columns[0]: name})
        wanted = {"success" if columns[0] == "solved" else "cost": name}
        ax = cost_vs_success(runs, **{"success": "solved", **wanted}, n_resamples=100)
        ax.figure.savefig(BytesIO(), format="png", dpi=20)
        plt.close(ax.figure)


def test_half_a_character_is_shown_as_what_it_is() -> None:
    assert label("a\ud83d") == "a⟨U+D83D⟩"


@pytest.mark.parametrize("name", ["$x$", "_hidden", "北京"])
@pytest.mark.parametrize("plot", ["ttft_ecdf", "token_gaps", "context_growth", "cost_vs_success"])
def test_every_group_stands_in_the_key(plot: str, name: str) -> None:
    ax = PLOTS[plot](name, "other")

    legend = ax.get_legend()
    assert legend is not None
    texts = [text.get_text() for text in legend.get_texts()]
    assert any(text.startswith(label(name)) for text in texts)
    assert [text.get_parse_math() for text in legend.get_texts()] == [False] * len(texts)


def test_mathematics_stays_text_also_where_tex_writes() -> None:
    style = lettering(r"$\input{/etc/passwd}$")

    assert (style["parse_math"], style["usetex"]) == (False, False)


def test_a_character_without_a_font_is_written_as_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering_module, "_upright_fonts", list)
    lettering_module._search.cache_clear()

    assert label("a北b") == "a⟨U+5317⟩b"
    lettering_module._search.cache_clear()


def test_a_font_of_the_machine_is_found_for_a_character(monkeypatch: pytest.MonkeyPatch) -> None:
    """matplotlib brings a font with a character that its main one has not."""
    symbols = findfont(FontProperties(family=["STIXGeneral"]))
    main = get_font(findfont(FontProperties()))
    char = next(
        chr(code) for code in sorted(get_font(symbols).get_charmap()) if code > 0x2000 and not main.get_char_index(code)
    )
    monkeypatch.setattr(lettering_module, "_upright_fonts", lambda: [FontEntry(fname=symbols, name="STIXGeneral")])
    lettering_module._search.cache_clear()

    assert label(f"a{char}") == f"a{char}"
    assert lettering(f"a{char}")["fontfamily"] == [*mpl.rcParams["font.family"], "STIXGeneral"]
    fig, ax = plt.subplots()
    ax.set_title(f"a{char}", **lettering(f"a{char}"))
    fig.savefig(BytesIO(), format="png")  # a missing glyph would warn
    lettering_module._search.cache_clear()


def test_a_font_that_cannot_be_read_has_no_characters(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")

    assert not lettering_module._has(str(broken), ord("a"))
    assert not lettering_module._has(str(tmp_path / "none.ttf"), ord("a"))


def test_a_long_name_is_cut_in_its_middle() -> None:
    cut = label("provider/model-with-a-very-long-name-2026-11-24-instruct-a")

    assert len(cut) == LABEL_CHARS
    assert cut.startswith("provider/model-with-a")
    assert cut.endswith("-instruct-a")


def test_names_that_look_the_same_are_numbered() -> None:
    middle = "m" * 100

    assert labels(["a", f"start{middle}x{middle}end", f"start{middle}y{middle}end", "a"]) == [
        "a",
        label(f"start{middle}x{middle}end"),
        label(f"start{middle}x{middle}end") + " (2)",
        "a (2)",
    ]


def test_a_column_is_told_with_its_unit() -> None:
    assert column_label("cost_usd", "mean {} of a run") == "mean cost of a run [US dollars]"
    assert column_label("wall_s") == "wall [s]"
    assert column_label("{}", "mean {}") == "mean {}"


def test_secrets_in_names_are_not_drawn() -> None:
    assert "sk-" not in label("sk-" + "a1B2" * 12, 200)


def test_a_name_from_right_to_left_does_not_turn_what_stands_beside_it() -> None:
    arabic = label("مرحبا")

    assert (arabic[0], arabic[-1]) == ("\u200e", "\u200e")
    assert label("hello") == "hello"


def test_an_empty_name_is_seen() -> None:
    ax = PLOTS["ttft_ecdf"]("", "other")

    assert [text.get_text().split(" · ")[0] for text in ax.get_legend().get_texts()] == ['""', "other"]


def test_a_key_of_many_groups_leaves_room_for_the_picture() -> None:
    for plot in ("ttft_ecdf", "token_gaps", "context_growth", "cost_vs_success"):
        ax = PLOTS[plot](*(f"a variant with a long name, number {n}" for n in range(14)))
        ax.figure.draw_without_rendering()
        assert ax.get_window_extent().height > 0.3 * ax.figure.bbox.height
