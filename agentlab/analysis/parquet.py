"""Frames in a folder of Parquet files: where they lie, and how they are read back.

    folder/_agentlab.json            what it is: format, version, files and rows of each frame
    folder/messages/part-00000.parquet, part-00001.parquet, …

A file holds some whole runs, oldest first. No name of a folder or file is made of an id, and no column stands in a name
only, so `read_parquet("folder/messages/*.parquet")` in DuckDB and `dask.dataframe.read_parquet("folder/messages")` give
the very columns of the frame. Categories are text there. The history of a run that goes on is in its own rows too, in
`messages` as in `n_messages` of `runs`: what two runs share is told apart when frames are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from agentlab.analysis.column import Column
from agentlab.analysis.columns import columns_of
from agentlab.analysis.engines import plain_schema
from agentlab.errors import NewerSchemaError, StoreError

MARKER = "_agentlab.json"
FORMAT = "agentlab frames"
VERSION = 1
PART = "part-{:05}.parquet"

_ROWS_AT_ONCE = 2**16
_PARTS_AHEAD = 2


class Export:
    """A folder that `to_parquet` made.

    Raises:
        NewerSchemaError: A later agentlab wrote it.
        StoreError: It is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._frames = _read_marker(folder / MARKER)

    def __str__(self) -> str:
        return f"the export {self.folder}"

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether there is an export, damaged or not."""
        return (path / MARKER).is_file()

    def families(self) -> list[tuple[str, str | None]]:
        """Each run and the run whose conversation it took up, if it did; in the order of the files."""
        columns = [column for column in columns_of("runs") if column.name in ("run_id", "parent_run_id")]
        found: list[tuple[str, str | None]] = []
        for table in self.batches("runs", columns):
            found += zip(table["run_id"].to_pylist(), table["parent_run_id"].to_pylist(), strict=True)
        return found

    def batches(
        self, frame: str, columns: Sequence[Column], run_ids: Sequence[str] | None = None, where: Any = None
    ) -> Iterator[pa.Table]:
        """Rows of a frame in their order; only these columns are read.

        Args:
            frame: Its name.
            columns: Which, in order; one that an older agentlab did not write is NA.
            run_ids: Only rows of these runs.
            where: An Arrow expression over the frame's columns; only rows for which it holds.
        """
        if run_ids is not None:
            of_runs = pc.field("run_id").isin(pa.array(run_ids, pa.string()))
            where = of_runs if where is None else of_runs & where
        names = [column.name for column in columns]
        try:
            data = ds.dataset(self._files(frame), schema=plain_schema(columns_of(frame)), format="parquet")
            scanner = data.scanner(
                columns=names,
                filter=where,
                batch_size=_ROWS_AT_ONCE,
                batch_readahead=_PARTS_AHEAD,
                fragment_readahead=_PARTS_AHEAD,
            )
            for batch in scanner.to_batches():
                yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as exc:
            raise StoreError(f"{self} cannot be read: {exc}") from exc

    def _files(self, frame: str) -> list[str]:
        told = self._frames.get(frame)
        if told is None:
            raise StoreError(f"{self} has no `{frame}`, it has {', '.join(self._frames)}; make it again from its lab")
        files = sorted((self.folder / frame).glob(PART.replace("{:05}", "*")))
        if len(files) != told["files"]:
            raise StoreError(
                f"{self} is damaged: of `{frame}` {told['files']} files were written, {len(files)} are there"
            )
        return [str(file) for file in files]


def _read_marker(path: Path) -> dict[str, dict[str, int]]:
    """What an export says of its frames: files and rows of each."""
    try:
        told = orjson.loads(path.read_bytes())
        if told["format"] == FORMAT and int(told["version"]) > VERSION:
            raise NewerSchemaError(str(path), told["version"], VERSION)
        frames: dict[str, dict[str, int]] = {
            str(name): {"files": int(frame["files"]), "rows": int(frame["rows"])}
            for name, frame in told["frames"].items()
        }
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise StoreError(f"{path} is damaged: {exc!r:.80}") from exc
    if told["format"] != FORMAT:
        raise StoreError(f"{path} is of another format: {told['format']!r:.80}")
    return frames
