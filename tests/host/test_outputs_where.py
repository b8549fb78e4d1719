"""`--where`: both engines give the same rows, and a condition can ask and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from host_tools import outputs
from host_tools.errors import UsageError
from host_tools.outputs import where
from host_tools.rows import Row
from tests.conftest import package
from tests.host.test_outputs_files import extremes, row_of

SAME = [
    "power_w >= 40.1",
    "power_w = 40.3 OR fill_percent = 7",
    "supply_v BETWEEN 3.3015 AND 3.3035",
    "type = 'lamp' AND NOT power_w < 40.2",
    "power_w IN (40.1, 40.2, 40.5)",
    "seq % 2 = 0 AND seq / 2 > 1",
    "seq * 2 + 1 <= 7 AND -seq < 0",
    "name LIKE 'lamp%'",
    "name LIKE 'LAMP%'",
    "name LIKE 'a!%b' ESCAPE '!'",
    "lower(name) = 'été' OR upper(name) LIKE 'LAMP-_'",
    "received_at >= '2026-01-28T20:00:03'",
    "received_at >= '2026-01-28' AND received_at < '2026-01-29' AND seq > 2",
    "time IS NOT DISTINCT FROM ''",
    "epoch IS NULL",
    "power_w IS NOT NULL AND coalesce(power_w, 0) > 40",
    "alarms LIKE '%tilted%'",
    "lorawan_mic = 'good' AND lorawan_fport = 10",
    "lorawan_flags LIKE '%adr%'",
    "cseq > 9000000000000000000",
    "CASE WHEN type = 'bin' THEN fill_percent > 5 ELSE seq = 1 END",
    "substr(device, 1, 4) = '70b3' AND length(name) > 3",
    "instr(name, '-') > 0 AND trim(name) <> ''",
    "abs(temperature_degc) > 1 AND round(temperature_degc, 0) = -6",
    "nullif(state, 'signed') = 'rejected'",
    "ifnull(reason, 'x') = 'bad_tag'",
    '"power_w" > 40 AND "type" = \'lamp\'',
    "POWER_W > 40.2 and Type = 'lamp'",
    "name = 'it''s'",
    "type || '-' || state = 'bin-signed'",
    "TRUE",
    "seq = 1 OR FALSE",
    "1e1 = 10 AND .5 < 1. AND seq > 3",
]
HOSTILE = [
    "read_csv('/etc/passwd')",
    "(SELECT 1)",
    "seq IN (SELECT 1)",
    "seq = (FROM read_text('/etc/passwd'))",
    "EXISTS (FROM '/etc/passwd')",
    "1 = 1; ATTACH '/tmp/x' AS y",
    "ATTACH '/tmp/x' AS y",
    "COPY rows TO '/tmp/x'",
    "PRAGMA database_list",
    "1 = 1) UNION SELECT 1 WHERE (1 = 1",
    "1) OR (1 = 1",
    "1 = 1 -- ",
    "1 = 1 /* x */",
    "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n) > 0",
    "length(repeat('x', 1000000000)) > 0",
    "replace(name, 'a', 'aaaa') = 'x'",
    "len(range(1000000000)) > 0",
    "getenv('HOME') = 'x'",
    "current_setting('memory_limit') = 'x'",
    "load_extension('x')",
    "writefile('x', 'y')",
    "write_log('x')",
    "sleep_ms(100000)",
    "printf('%999999999d', 1) = ''",
    "zeroblob(1000000000) = ''",
    "randomblob(1000000000) = ''",
    "COLUMNS('.*') = 1",
    "COLUMNS(*) IS NULL",
    "[x for x in [1]] = 1",
    "{'a': 1} = 1",
    "$1 = 1",
    "? = 1",
    "$$x$$ = 'x'",
    "name::BLOB = 'x'",
    "name ~ '(a+)+$'",
    "CAST(name AS INTEGER) = 1",
    "rowid = 1",
    "sqlite_master = 1",
    '"row number" = 1',
    "count(*) > 0",
    "sum(seq) OVER () > 0",
    "name COLLATE nocase = 'x'",
    "seq = seq + ",
    "= 1",
    "power_w >",
    "seq / 0 = 1",
    "seq / name = 1",
    "seq % (1 - 1) = 1",
    "E'\\'' = 'x'",
    "'x",
    "x'00' = name",
    "12abc = 1",
    "0x10 = 1",
    "no_such_column > 1",
    "",
    "   ",
    "x" * 3000,
    "(" * 500 + "1" + ")" * 500,
    "NOT " * 480 + "TRUE AND",
    "name = '\0'",
    "\x1b[2J",
    "١ = 1",
]


def made() -> list[Row]:
    found = extremes()
    for n in range(1, 8):
        found.append(
            row_of(
                2,
                "lamp",
                {"power": 400 + n},
                name=f"lamp-{n}",
                seq=n,
                received_at=(1_769_630_400 + n) * 10**6,
            )
        )
        found.append(
            row_of(
                3,
                "bin",
                {"fill": n, "supply": 3300 + n, "temperature": -50 - n, "alarms": 0x410},
                seq=n,
                name="it's",
            )
        )
    found.append(
        row_of(3, "bin", {}, state="rejected", reason="bad_tag", name="ÉTÉ", epoch=None, seq=None, time="")
    )
    found.append(
        row_of(
            2, "lamp", {}, name="a%b", lorawan={"mic": "good", "fport": 10, "mtype": "x", "flags": ["adr"]}
        )
    )
    return found


@pytest.fixture(params=["duckdb", "sqlite"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "duckdb":
        package("duckdb")
        package("pyarrow")
    else:
        monkeypatch.setattr(where, "has", lambda _: False)
    return str(request.param)


def test_both_engines_give_the_same_rows() -> None:
    package("duckdb")
    package("pyarrow")
    rows = made()
    counts = []
    for expression in SAME:
        condition = where.parse(expression)
        one, other = where._duckdb(condition, rows), where._sqlite(condition, rows)
        assert [id(r) for r in one] == [id(r) for r in other], expression
        counts.append(len(one))
    assert sum(0 < n < len(rows) for n in counts) >= len(SAME) - 6, list(zip(SAME, counts, strict=True))


@pytest.mark.parametrize("expression", HOSTILE, ids=lambda text: text[:40])
def test_a_condition_can_ask_and_nothing_else(engine: str, expression: str, tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(UsageError, match=r"^--where: ") as caught:
        where.select(expression, made()[:3])
    assert time.monotonic() - start < 5
    assert "root:" not in str(caught.value) + caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_condition_is_wrong_without_any_row(engine: str) -> None:
    assert where.select("power_w > 1", []) == []
    with pytest.raises(UsageError):
        where.select("power_w > > 1", [])


def test_a_wrong_name_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        where.select("powr_w > 1", [])
    assert caught.value.hint.startswith("columns: power_w")


def test_decimals_are_exact_in_duckdb() -> None:
    package("duckdb")
    package("pyarrow")
    assert outputs.has("duckdb")
    row = row_of(3, "bin", {"supply": 300, "distance": 100})
    # 0.1 + 0.2 in binary is not 0.3.
    assert where._duckdb(where.parse("supply_v = distance_m + 0.2"), [row]) == [row]


def test_many_rows_go_in_pieces(engine: str) -> None:
    rows = [row_of(2, "lamp", {"power": n % 1000}, seq=n) for n in range(1, 40_001)]
    found = where.select("power_w = 99.9 AND seq > 20000", rows)
    assert [r.seq for r in found] == list(range(20_999, 40_000, 1000))


def test_an_engine_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """No condition that is let through takes long; should one, both engines stop."""
    package("duckdb")
    package("pyarrow")
    monkeypatch.setattr(where, "LIMIT_S", 0.3)
    monkeypatch.setattr(where, "_STEPS", 20)
    slow = where.Condition(
        "(SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range + b.range < 0) > 0", ()
    )
    start = time.monotonic()
    with pytest.raises(UsageError, match="--where"):
        where._duckdb(slow, made()[:1])
    endless = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n) > 0"
    with pytest.raises(UsageError, match="--where"):
        where._sqlite(where.Condition(endless, ()), made()[:1])
    assert time.monotonic() - start < 10


def test_a_closed_engine_reads_no_file() -> None:
    """What the first look refuses is refused by the engine, too."""
    package("duckdb")
    package("pyarrow")
    for text in (
        "EXISTS (SELECT * FROM read_text('/etc/passwd'))",
        "EXISTS (FROM '/etc/passwd')",
        "(SELECT count(*) FROM glob('/etc/*')) > 0",
    ):
        with pytest.raises(UsageError, match="--where"):
            where._duckdb(where.Condition(text, ()), made()[:1])
    with pytest.raises(UsageError, match="--where"):
        where._sqlite(where.Condition("EXISTS (SELECT 1 FROM sqlite_master)", ()), made()[:1])
