"""`python -m tests.conformance DIR [--json]` replays every `*.json` in DIR, and exits with 1 if a case differs."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from agentlab import compat
from tests.conformance.replay import Outcome, read_cases, replay


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 when every case that is no quirk comes out as recorded."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder with recorded cases, one file a function")
    parser.add_argument("--json", action="store_true", help="one JSON object a case, before the last line")
    options = parser.parse_args(arguments)
    files = sorted(options.directory.glob("*.json"))
    if not files:
        parser.error(f"{options.directory} holds no *.json")
    outcomes, left_out = run(files)
    counts = Counter(o.status for o in outcomes)
    console = Console(soft_wrap=True, highlight=False)
    for outcome in outcomes:
        if options.json:
            print(json.dumps(asdict(outcome), ensure_ascii=False, default=repr))
        elif outcome.status == "failed":
            console.print(_difference(outcome))
    if left_out and options.json:
        print(json.dumps({"left_out": left_out}))
    elif left_out:
        print(f"left out, as compat does not have these functions yet: {', '.join(left_out)}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['quirk']} quirks")
    return 1 if counts["failed"] else 0


def run(files: list[Path]) -> tuple[list[Outcome], list[str]]:
    """The outcomes of all cases, and the files whose function compat does not have."""
    outcomes, left_out = [], []
    for path in files:
        cases = read_cases(path)
        known = [case for case in cases if hasattr(compat, case["function"])]
        outcomes += [replay(case) for case in known]
        if len(known) < len(cases):
            left_out.append(path.name)
    return outcomes, left_out


def _difference(outcome: Outcome) -> Text:
    lines = difflib.unified_diff(_lines(outcome.expected), _lines(outcome.actual), "recorded", "here", lineterm="", n=4)
    text = Text(f"{outcome.function} / {outcome.case}\n", style="bold")
    for line in lines:
        text.append(line + "\n", style={"+": "green", "-": "red"}.get(line[0], "not bold"))
    return text


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True, default=repr).splitlines()


if __name__ == "__main__":
    sys.exit(main())
