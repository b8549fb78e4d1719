"""Rows as Parquet: DECIMAL for values with decimals, INT64, strings, lists, timestamps in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from host_tools.outputs import arrow, extra
from host_tools.outputs.columns import chunks
from host_tools.rows import Row


def errors() -> tuple[type[Exception], ...]:
    pa = extra("pyarrow")

    return (pa.ArrowException,)


def write(rows: Sequence[Row], path: Path) -> None:
    """One row group for each chunk. The file's metadata hold the format and the decoder."""
    pq = extra("pyarrow.parquet")

    with (
        path.open("wb") as stream,
        pq.ParquetWriter(stream, arrow.schema(), compression="zstd", version="2.6") as writer,
    ):
        for some in chunks(rows):
            writer.write_batch(arrow.batch(some))
