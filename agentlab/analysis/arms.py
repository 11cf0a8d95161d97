"""Which variant, tag or model each run belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from agentlab.analysis.arguments import need_name
from agentlab.analysis.columns import columns_of
from agentlab.analysis.frames import runs_df
from agentlab.analysis.sources import HasTrace, Source
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.trace.trace import Trace

EVERYTHING = ""
"""The name of the only group, where nothing parts the runs."""


def again_and_again(source: Source) -> Source:
    """The source as something that can be read more than once: an iterator becomes a list."""
    if isinstance(source, Trace | HasTrace | Lab) or not isinstance(source, Iterable) or isinstance(source, Sequence):
        return source
    return list(source)


def runs_with_tags(source: Source, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """`runs_df` with a column of texts for each tag, as `compare` pairs by; NA for runs without it.

    A column of the frame wins against a tag of its name.

    Args:
        source: A run, a trace, a lab, a file or folder of these, or a list of them.
        columns: Those of the frame that are wanted, besides the tags; None: all.
    """
    wanted = None if columns is None else list(dict.fromkeys([*columns, "tags"]))
    runs = runs_df(source, columns=wanted)
    tags = pd.DataFrame([_tags_of(text) for text in runs["tags"]], index=runs.index, dtype="string")
    return runs.join(tags[[name for name in tags.columns if name not in runs.columns]])


def group_of_runs(source: Source, by: str | None) -> dict[str, str]:
    """The name of each run's group, by run id, in the order of the runs.

    Args:
        source: A run, a trace, a lab or a list of them.
        by: A column of `runs_df`, such as `model`, or a tag, such as `variant`; None: all are one group.

    Raises:
        InputError: No run has such a column or tag.
    """
    if by is not None:
        need_name("by", by)
    is_tag = by is not None and by not in {column.name for column in columns_of("runs")}
    wanted = list(dict.fromkeys(["run_id", "tags" if is_tag else by or "run_id"]))  # others cost far more to make
    runs = runs_with_tags(source, wanted) if is_tag else runs_df(source, columns=wanted)
    if by is None:
        return dict.fromkeys(runs["run_id"], EVERYTHING)
    if len(runs) and by not in runs.columns:
        tags = sorted({tag for text in runs["tags"] for tag in _tags_of(text)})
        raise InputError(f"no run has a tag or a column {by!r:.80}; the tags are {', '.join(tags)[:400] or 'none'}")
    names = runs[by].astype("string").fillna(f"no {by}").tolist() if len(runs) else []
    return dict(zip(runs["run_id"].tolist(), names, strict=True))


def groups_in_order(of_run: dict[str, str]) -> list[str]:
    """The groups, each once, as their first runs stand."""
    return list(dict.fromkeys(of_run.values()))


def _tags_of(text: Any) -> dict[str, str]:
    tags: dict[str, str] = json.loads(text) if isinstance(text, str) else {}
    return tags
