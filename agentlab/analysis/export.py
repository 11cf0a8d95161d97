"""All frames of runs written to a folder of Parquet files: for Dask, DuckDB and polars, and for `messages_df` again."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from agentlab.analysis.columns import columns_of
from agentlab.analysis.engines import plain_schema
from agentlab.analysis.frames import ALL
from agentlab.analysis.parquet import FORMAT, MARKER, PART, VERSION, Export
from agentlab.analysis.sources import Source, picked
from agentlab.analysis.tables import Tables
from agentlab.errors import InputError, StoreError
from agentlab.lab import pack
from agentlab.version import __version__

_ROWS_PER_GROUP = 2**17
"""Of a Parquet file: readers leave out whole groups by what their columns hold."""


def to_parquet(source: Source, folder: str | Path) -> Path:
    """Write all frames of a source into a folder; the folder.

    Runs are written some at a time, so a lab may be larger than the memory. The folder appears when it is whole: a
    crash leaves what was there before, and at most a hidden folder beside it. An older export is replaced.

    `messages_df(folder)` counts what a run took over from its parent once. For other tools it stands in the rows of
    both runs, in those of the later one with the source `history`.

    Args:
        source: A run, a trace, a lab, or a list of them.
        folder: Where; its parent must be there. `agentlab.analysis.parquet` says what lies in it.

    Raises:
        InputError: Something else is there, or there is no parent; nothing was changed.
        StoreError: It cannot be written.
    """
    target = Path(folder).expanduser().absolute()
    _refuse_what_is_not_ours(target)
    with _staged(target) as new, picked(source, with_events=True) as stores:
        files, rows = 0, Counter[str]()
        parts = [part for name in pack.SCHEMAS for part in pack.part_names(name)]
        for tables in (tables for store in stores for tables in store.groups(parts, logs=True)):
            rows.update(_write_group(new, files, tables))
            files += 1
        if not files:
            rows.update(_write_nothing(new))
            files = 1
        frames = {frame.name: {"files": files, "rows": rows[frame.name]} for frame in ALL}
        told = {"format": FORMAT, "version": VERSION, "agentlab": __version__, "frames": frames}
        (new / MARKER).write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    return target


def _write_group(folder: Path, number: int, tables: Tables) -> dict[str, int]:
    rows = {}
    for frame in ALL:
        table = frame.made(tables, columns_of(frame.name))
        _write(table, folder / frame.name / PART.format(number))
        rows[frame.name] = len(table)
    return rows


def _write_nothing(folder: Path) -> dict[str, int]:
    for frame in ALL:
        _write(plain_schema(columns_of(frame.name)).empty_table(), folder / frame.name / PART.format(0))
    return {}


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, compression="zstd", row_group_size=_ROWS_PER_GROUP)


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """A new folder beside the target, which takes its place in the end."""
    staging = None
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        new, old = staging / "new", staging / "old"
        new.mkdir()
        yield new
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except OSError as exc:
        raise StoreError(f"{target} cannot be written: {exc}") from exc
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def _refuse_what_is_not_ours(target: Path) -> None:
    try:
        if not target.parent.is_dir():
            raise InputError(f"there is no folder {target.parent}; make it first, or name another one")
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise InputError(f"{target} is no folder; name one that is not there yet")
        inside = sorted(target.rglob("*")) if target.is_dir() else []
    except OSError as exc:
        raise InputError(f"{str(target)!r:.80} cannot be used: {exc}") from exc
    names = {frame.name for frame in ALL}
    foreign = [path for path in inside if not _is_ours(path.relative_to(target), names)]
    if foreign or (inside and not Export.is_at(target)):
        seen = (foreign or inside)[0].name
        raise InputError(f"{target} is not empty, and {seen!r} in it is of no export; name another folder")


def _is_ours(path: Path, frames: set[str]) -> bool:
    """Whether an export has such a file or folder."""
    if len(path.parts) == 1:
        return path.name == MARKER or path.name in frames
    return len(path.parts) == 2 and path.parts[0] in frames and path.match(PART.replace("{:05}", "*"))
