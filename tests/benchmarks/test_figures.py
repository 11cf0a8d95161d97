from __future__ import annotations

import sys

import pytest

from tests.benchmarks import bench_builders
from tests.benchmarks.__main__ import main
from tests.benchmarks.figures import Figure, cpu_seconds

FAST = "Figure('speed', 3.0, 'x', {target}, higher_is_better=True)"


def figure(value: float, target: float | None, *, higher_is_better: bool) -> Figure:
    return Figure("speed", value, "x", target, higher_is_better)


@pytest.mark.parametrize(
    ("given", "met"),
    [
        (figure(2.0, 2.0, higher_is_better=True), True),
        (figure(1.9, 2.0, higher_is_better=True), False),
        (figure(0.6, 0.6, higher_is_better=False), True),
        (figure(0.7, 0.6, higher_is_better=False), False),
        (figure(0.0, None, higher_is_better=True), True),
    ],
)
def test_a_target_is_met_on_its_better_side(given, met):
    assert given.met is met


def test_processor_time_is_measured_over_the_given_repeats():
    calls = []

    assert cpu_seconds(lambda: calls.append(1), repeats=3) >= 0
    assert len(calls) == 3


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with one benchmark, as a package of its own."""
    package = tmp_path / "some_benches"
    package.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [n for n in sys.modules if n.startswith("some_benches")]:
        del sys.modules[name]


@pytest.mark.parametrize(("target", "status", "verdict"), [(2, 0, "met"), (4, 1, "missed")])
def test_the_table_tells_what_was_met_and_the_exit_status_too(folder, capsys, target, status, verdict):
    source = f"from tests.benchmarks.figures import Figure\ndef run():\n    yield {FAST.format(target=target)}\n"
    (folder / "bench_it.py").write_text(source, encoding="utf-8")

    assert main([], folder, "some_benches") == status
    out = capsys.readouterr().out
    assert "speed" in out
    assert verdict in out


def test_an_unknown_benchmark_is_refused_with_the_known_ones(folder, capsys):
    (folder / "bench_it.py").touch()

    with pytest.raises(SystemExit):
        main(["that"], folder, "some_benches")
    assert "there is no benchmark that; there are it" in capsys.readouterr().err


def test_the_measured_work_is_the_work_it_says():
    assert [m.role for m in bench_builders.step()] == ["assistant", "tool", "user"]
    assert [len(m.tool_returns or ()) for m in bench_builders.parallel()] == [0, 8]
    assert len(bench_builders.parallel_one_by_one()) == 9
    assert len(bench_builders.conversation(turns=2)) == 13
