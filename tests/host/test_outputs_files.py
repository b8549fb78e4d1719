"""Files with types: the same exact values in Parquet, SQLite and DuckDB as in JSON; whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from firmware.protocols import schema
from host_tools import cli, output, outputs, rows
from host_tools.outputs.columns import columns
from host_tools.outputs.sqlite import stored
from host_tools.rows import Row
from tests.conftest import package

pytestmark = pytest.mark.usefixtures("quiet_place")


def row_of(number: int, kind: str, scaled: dict[str, Any], **changes: Any) -> Row:
    values, raw = rows.in_words(number, scaled)
    cells: dict[str, Any] = {
        "device": "70b3d57ed0000001", "name": "x", "kind": kind, "epoch": 1, "seq": 1, "purpose": 0, "type": kind,
        "state": "signed", "reason": "", "received_at": 1_769_630_400_123_456, "time": "2026-01-28T20:00:00Z",
        "clock": "confirmed", "values": values, "receptions": 1, "key": "", "frame": "00" * 8, "fields": raw,
    }  # fmt: skip
    return Row(**{**cells, **changes})


def extremes() -> list[Row]:
    """For each message type one row with every field at its least and one at its most."""
    found: list[Row] = []
    for number, (name, _) in schema.TYPES.items():
        for end in ("lo", "hi"):
            fields: dict[str, Any] = {}
            for f in rows.table(number).values():
                bound = getattr(f, end)
                if f.name in ("time", "time_unconfirmed", "pad") or f.shape == "reserved":
                    continue
                fields[f.name] = (
                    b"\xff" * bound if f.shape == "bytes" else [bound] * 3 if f.shape == "vector" else bound
                )
            found.append(row_of(number, name, fields, seq=len(found) + 1))
    plain, raw = rows.plain({"cseq": (1 << 64) - 1, "outcome": 0, "last_cseq": 1 << 63})
    found.append(row_of(1, "result", {}, values=plain, fields=raw, seq=None, epoch=None, time=""))
    lorawan = {"mtype": "unconfirmed_up", "mic": "good", "fcnt": (1 << 32) - 1, "fport": 10,
               "flags": ["ack", "adr"], "dev_addr": "26011234", "mac": [{"command": "LinkCheckReq"}]}  # fmt: skip
    found.append(row_of(1, "", {}, lorawan=lorawan, received_at=0))
    return found


def expected(row: Row) -> dict[str, Any]:
    """What a reader must get: the values of the JSON output by the column's name."""
    as_json = json.loads(rows.to_json(row), parse_float=Decimal)
    found = {k: v for k, v in as_json.items() if k not in rows.NESTED and v is not None}
    found |= {rows.value_column(k): v for k, v in as_json["values"].items()}
    found |= {"lorawan_" + k: v for k, v in as_json["lorawan"].items()}
    return found


def same(name: str, ours: Any, theirs: Any) -> bool:
    if hasattr(theirs, "isoformat"):
        return bool(
            ours.rstrip("Z")
            == theirs.isoformat(timespec="microseconds" if "." in ours else "seconds")[:26].replace(
                "+00:00", ""
            )
        )
    if name in ("lorawan_mac", "lorawan_join"):
        return bool(json.loads(theirs) == ours)
    if name == "time" and not ours:
        return theirs is None
    return bool(ours == theirs)


def check(found: Sequence[dict[str, Any]]) -> None:
    all_of = extremes()
    assert len(found) == len(all_of)
    for row, theirs in zip(all_of, found, strict=True):
        ours = expected(row)
        there = {k: v for k, v in theirs.items() if v is not None}
        assert there.keys() == {k for k, v in ours.items() if not (k == "time" and not v)}
        for name, value in there.items():
            assert same(name, ours[name], value), (name, ours[name], value)
            assert not isinstance(value, float), name
        assert theirs["decoder"] == rows.decoder()


def test_parquet_is_exact(tmp_path: Path) -> None:
    package("pyarrow")
    pq = package("pyarrow.parquet")
    outputs.write(extremes(), "r.parquet", "parquet")
    table = pq.read_table("r.parquet")
    check(table.to_pylist())
    assert table.schema.metadata[b"lanterne.decoder"].decode() == rows.decoder()
    assert str(table.schema.field("power_w").type) == "decimal128(8, 1)"
    assert table.schema.field("power_w").metadata == {b"unit": b"W"}
    assert str(table.schema.field("received_at").type) == "timestamp[us, tz=UTC]"
    assert str(table.schema.field("distances_m").type) == "list<element: decimal128(5, 3)>"


def test_duckdb_is_exact(tmp_path: Path) -> None:
    duckdb = package("duckdb")
    outputs.write(extremes(), "r.duckdb", "duckdb")
    base = duckdb.connect("r.duckdb", read_only=True)
    base.execute("SET TimeZone = 'UTC'")
    times = "* REPLACE (received_at AT TIME ZONE 'UTC' AS received_at, time AT TIME ZONE 'UTC' AS time)"
    told = base.execute(f"SELECT {times} FROM rows")
    names = [c[0] for c in told.description]
    check([dict(zip(names, cells, strict=True)) for cells in told.fetchall()])
    assert base.execute("SELECT typeof(power_w) FROM rows LIMIT 1").fetchone() == ("DECIMAL(8,1)",)
    assert base.execute("SELECT value FROM about WHERE name = 'decoder'").fetchone() == (rows.decoder(),)
    assert base.execute("SELECT unit, decimals FROM columns WHERE name = 'power_w'").fetchone() == ("W", 1)


def test_sqlite_is_exact_in_its_table_and_near_in_its_view(tmp_path: Path) -> None:
    outputs.write(extremes(), "r.sqlite", "sqlite")
    base = sqlite3.connect("r.sqlite")
    told = base.execute("SELECT * FROM rows")
    names = [c[0] for c in told.description]
    by_stored = {stored(c): c for c in columns()}
    found = []
    for cells in told:
        row: dict[str, Any] = {}
        for name, cell in zip(names, cells, strict=True):
            column = by_stored[name]
            if cell is not None and column.form == "decimal":
                assert type(cell) is int
                cell = Decimal(cell).scaleb(-column.decimals)
            elif cell is not None and column.form == "wide":
                cell = int(cell)
            elif cell is not None and column.form.endswith("s"):
                cell = json.loads(cell, parse_float=Decimal)
            row[column.name] = cell
        found.append(row)
    check(found)
    [near] = base.execute("SELECT power_w FROM readings WHERE type = 'lamp' AND power_w > 0").fetchone()
    assert near == 6553.5
    assert base.execute("SELECT stored, decimals FROM columns WHERE name = 'power_w'").fetchone() == (
        "power_w_x10",
        1,
    )
    assert base.execute("SELECT count(*) FROM readings").fetchone() == (len(extremes()),)
    assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_every_column_is_there_whatever_the_rows_hold() -> None:
    package("pyarrow")
    pq = package("pyarrow.parquet")
    outputs.write([], "none.parquet", "parquet")
    outputs.write(extremes()[:1], "one.parquet", "parquet")
    assert pq.read_schema("none.parquet") == pq.read_schema("one.parquet")
    names = [c.name for c in columns()]
    assert len(names) == len(set(names)) and all(n.isidentifier() and n.islower() for n in names)


def test_formats_by_name_from_the_command_line(sample: Path, tmp_path: Path) -> None:
    package("pyarrow")
    package("duckdb")
    given = ["decode", str(sample / "capture.pcap"), "--keys", str(sample / "reader.json"), "-q"]
    for name, head in (
        ("r.parquet", b"PAR1"),
        ("r.sqlite", b"SQLite format 3\0"),
        ("r.db", b"SQLite format 3\0"),
        ("r.duckdb", b""),
    ):
        for _ in range(2):  # such a file may take the place of its like
            assert cli.run([*given, "-o", name]) == 0
        assert (tmp_path / name).read_bytes().startswith(head)
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.db", "r.duckdb", "r.parquet", "r.sqlite"]


def _umask() -> int:
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_database_of_somebody_else_is_kept(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = sqlite3.connect("other.sqlite")
    base.execute("CREATE TABLE t (x)")
    base.close()
    duckdb = package("duckdb")
    other = duckdb.connect("other.duckdb")
    other.execute("CREATE TABLE t (x INTEGER)")
    other.close()
    Path("c.pcap").write_bytes((sample / "capture.pcap").read_bytes())
    for name, form in (
        ("other.sqlite", "sqlite"), ("other.sqlite", "parquet"), ("other.duckdb", "duckdb"),
        ("other.duckdb", "sqlite"), ("c.pcap", "parquet"), ("c.pcap", "duckdb"),
    ):  # fmt: skip
        before = Path(name).read_bytes()
        code = cli.run(["decode", str(sample / "capture.pcap"), "-o", name, "--format", form])
        assert code == output.STORE_REFUSED, (name, form)
        assert "is not overwritten" in capsys.readouterr().err
        assert Path(name).read_bytes() == before


@pytest.mark.parametrize("form", outputs.FORMATS)
def test_what_cannot_be_written_is_said_before_the_work(
    form: str, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(sample / "capture.pcap")
    assert cli.run(["decode", source, "--format", form]) == output.USAGE
    assert f"{form} needs a file" in capsys.readouterr().err
    assert cli.run(["decode", source, "--format", form, "-o", "no/such/folder"]) == output.STORE_REFUSED
    assert "its folder does not exist" in capsys.readouterr().err
    if form != "parquet":
        assert cli.run(["decode", source, "--format", form, "-o", "/dev/null"]) == output.USAGE
    elif Path("/dev/full").exists():
        assert cli.run(["decode", source, "--format", form, "-o", "/dev/full"]) == output.STORE_REFUSED
        assert "the disk is full" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", outputs.FORMATS)
def test_a_failing_write_leaves_what_was_there(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs.write(extremes(), "r", form)
    before = Path("r").read_bytes()

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    many = extremes()
    monkeypatch.setattr(rows, "decoder", interrupted)
    with pytest.raises(KeyboardInterrupt):
        outputs.write(many, "r", form)
    assert Path("r").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_missing_package_says_how_to_get_it(
    sample: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    for name, form in (("pyarrow", "parquet"), ("duckdb", "duckdb")):
        monkeypatch.setitem(sys.modules, name, None)
        assert cli.run(["decode", str(sample / "capture.pcap"), "-o", "x." + form]) == output.USAGE
        said = capsys.readouterr().err
        assert name in said and "pip install 'lanterne[data]'" in said


def test_the_decoder_is_beside_every_value(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["decode", str(sample / "capture.pcap"), "--keys", str(sample / "reader.json")]
    for form in ("jsonl", "csv", "table"):
        assert cli.run([*given, "--format", form, "-o", "r"]) == 0
        text = Path("r").read_text()
        lines = text.splitlines()
        found = (
            [json.loads(line)["decoder"] for line in lines]
            if form == "jsonl"
            else [row["decoder"] for row in csv.DictReader(io.StringIO(text))]
            if form == "csv"
            else [line[line.index("lanterne ") :] for line in lines[1:]]
        )
        assert found == [rows.decoder()] * 17
    # A table that is only looked at says it once.
    capsys.readouterr()
    assert cli.run([*given, "-v"]) == 0
    captured = capsys.readouterr()
    assert "lanterne" not in captured.out
    assert f"decoded by {rows.decoder()}\n" in captured.err
    assert rows.decoder().startswith("lanterne 0.") and rows.decoder().endswith(" wire 1")
