"""`python -m tests.benchmarks [NAME ...]` measures speed against the targets, and exits with 1 if one is missed."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.figures import Figure

FOLDER = Path(__file__).parent


def main(arguments: list[str] | None = None, folder: Path = FOLDER, package: str = "tests.benchmarks") -> int:
    """Exit status: 0 when every target is met."""
    names = sorted(path.stem.removeprefix("bench_") for path in folder.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)}; all when none is given")
    chosen = parser.parse_args(arguments).names or names
    if unknown := sorted(set(chosen) - set(names)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(names)}")
    console = Console()
    figures: list[Figure] = []
    for name in chosen:
        console.print(f"measuring {name} …")
        figures += importlib.import_module(f"{package}.bench_{name}").run()
    console.print(table(figures))
    return 0 if all(figure.met for figure in figures) else 1


def table(figures: Iterable[Figure]) -> Table:
    """The figures, with their targets and whether they are met."""
    shown = Table("what", "measured", "target", "", "made of")
    for figure in figures:
        target = "" if figure.target is None else f"{'≥' if figure.higher_is_better else '≤'} {figure.target:g}"
        verdict = "" if figure.target is None else "[green]met[/]" if figure.met else "[bold red]missed[/]"
        value = f"{figure.value:.3g}" if figure.value < 1000 else f"{figure.value:,.0f}"
        shown.add_row(figure.name, f"{value} {figure.unit}", target, verdict, figure.detail)
    return shown


if __name__ == "__main__":
    sys.exit(main())
