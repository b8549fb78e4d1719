"""`--where`: an SQL condition over the columns of a row, the same for DuckDB and, without it, for SQLite.

What may stand in it is one expression over the columns and nothing else: comparisons, arithmetic, AND, OR, NOT,
IS, IN, BETWEEN, LIKE, CASE and the functions below. It is read here first, so that no statement, no query, no
function that reads a file or makes much of little ever reaches an engine; those run closed up all the same.

Both engines mean the same: LIKE tells capitals apart; times are text as in JSON, so that
received_at >= '2026-11-20' does what it says; lists are words with blanks between; whole numbers divide to whole
ones, and a divisor is a number other than 0. Decimals are exact in DuckDB; SQLite computes with the floating-point
number next to them: comparing a value with a number does not notice, adding several may.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from host_tools import rows as rows_of
from host_tools.errors import UsageError
from host_tools.output import say
from host_tools.outputs import extra, has
from host_tools.outputs.columns import Column, chunks, columns, getters
from host_tools.rows import Row

MAX_LENGTH = 2000  # characters; chosen
MAX_DEPTH = 64
LIMIT_S = 10.0
_STEPS = 10_000  # of 100 000 instructions of SQLite: about ten seconds

_WORDS = frozenset(
    "AND OR NOT IS NULL IN BETWEEN LIKE ESCAPE CASE WHEN THEN ELSE END TRUE FALSE DISTINCT FROM".split()
)
_QUERY = frozenset("SELECT WITH UNION VALUES TABLE EXISTS".split())
# The result is never longer than what goes in.
_FUNCTIONS = frozenset(
    "abs round length lower upper trim ltrim rtrim substr instr coalesce ifnull nullif".split()
)
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")+")
    |(?P<word>[^\W\d]\w*)
    |(?P<sign><=|>=|<>|!=|==|\|\||[-+*/%=<>(),])""",
    re.VERBOSE,
)


def _refused(what: str, french: str, hint: str = "") -> UsageError:
    return UsageError("--where: " + say(what, french), hint)


@dataclass(frozen=True)
class Condition:
    """sql: the expression as both engines take it. used: the columns that it names."""

    sql: str
    used: tuple[Column, ...]


def parse(text: str) -> Condition:
    """The condition that a text is; UsageError for anything that is not one expression over the columns."""
    if len(text) > MAX_LENGTH:
        raise _refused(f"longer than {MAX_LENGTH} characters", f"plus de {MAX_LENGTH} caractères")
    known = {c.name.lower(): c for c in columns()}
    used: dict[str, Column] = {}
    out: list[str] = []
    depth = 0
    tokens = list(_tokens(text))
    if not tokens:
        raise _refused("a condition is missing", "la condition manque")
    for n, (kind, token) in enumerate(tokens):
        following = tokens[n + 1] if n + 1 < len(tokens) else ("", "")
        if kind == "sign":
            depth += (token == "(") - (token == ")")
            if not 0 <= depth <= MAX_DEPTH:
                raise _refused("brackets that do not match, or too many", "parenthèses mal fermées, ou trop")
            if token in "/%" and not (following[0] == "number" and float(following[1])):
                raise _refused("only a number other than 0 divides", "seul un nombre non nul divise")
        elif kind in ("word", "quoted"):
            previous = tokens[n - 1][1].upper() if n else ""
            token = _name(kind, token, previous, following[1] == "(", known, used)
        out.append(token)
    if depth:
        raise _refused("brackets that do not match", "parenthèses mal fermées")
    return Condition(" ".join(out), tuple(used.values()))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _refused(
                f"cannot read {text[at : at + 20]!r} at character {at + 1}",
                f"illisible : {text[at : at + 20]!r} au caractère {at + 1}",
            )
        at = found.end()
        kind = found.lastgroup or ""
        if kind == "number" and at < len(text) and (text[at].isalnum() or text[at] == "_"):
            raise _refused(f"{text[found.start() : at + 1]!r} is no number", "nombre illisible")
        if kind == "text" and "\0" in found[0]:
            raise _refused("a zero byte in a text", "octet nul dans un texte")
        if kind != "space":
            yield kind, found[0]


def _name(
    kind: str, token: str, previous: str, called: bool, known: dict[str, Column], used: dict[str, Column]
) -> str:
    upper = token.upper()
    if kind == "word" and upper in _WORDS:
        if upper == "FROM" and previous != "DISTINCT":
            raise _refused("a query inside a condition", "une requête dans la condition")
        return upper
    if kind == "word" and called:
        if token.lower() not in _FUNCTIONS:
            raise _refused(f"no function {token}", f"pas de fonction {token}", ", ".join(sorted(_FUNCTIONS)))
        return token.lower()
    name = token[1:-1].replace('""', '"') if kind == "quoted" else token
    column = known.get(name.lower())
    if column is None and kind == "word" and upper in _QUERY:
        raise _refused("a query inside a condition", "une requête dans la condition")
    if column is None:
        near = get_close_matches(name.lower(), known, 3)
        raise _refused(
            f"no column {name}",
            f"pas de colonne {name}",
            say("columns: ", "colonnes : ") + ", ".join(near or known),
        )
    used[column.name] = column
    return '"' + column.name + '"'


def _cell(column: Column) -> Callable[[Row], Any]:
    """The value as a condition sees it: numbers, text, and nothing else."""
    get = getters()[column.name]
    if column.name == "received_at":
        return lambda row: rows_of.utc(row.received_at)
    if column.name == "time":
        return lambda row: row.time
    if column.form.endswith("s"):
        return lambda row: None if (v := get(row)) is None else " ".join(str(x) for x in v)
    return get


def select(text: str, rows: Sequence[Row]) -> list[Row]:
    """Rows for which a condition holds, in their order."""
    condition = parse(text)
    run = _duckdb if has("duckdb") and has("pyarrow") else _sqlite
    return run(condition, rows)


def _duckdb(condition: Condition, rows: Sequence[Row]) -> list[Row]:
    duckdb, pa = extra("duckdb"), extra("pyarrow")
    base = duckdb.connect(":memory:")
    late = threading.Timer(LIMIT_S, base.interrupt)
    late.daemon = True
    try:
        for setting in (
            "memory_limit = '256MB'",
            "threads = 1",
            "temp_directory = ''",
            "integer_division = true",
            "python_enable_replacements = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            base.execute("SET " + setting)
        late.start()
        found: list[Row] = []
        cells = [(c, _cell(c)) for c in condition.used]
        # Also where there are no rows: a condition that is wrong is wrong on any day.
        for part in chunks(rows) if rows else [[]]:
            made = {"row number": pa.array(range(len(part)), type=pa.int64())}
            for column, cell in cells:
                made[column.name] = pa.array([cell(row) for row in part], type=_arrow_type(pa, column))
            base.register("rows", pa.table(made))
            answer = base.execute(
                f'SELECT "row number" FROM rows WHERE ({condition.sql}\n) ORDER BY 1'
            ).fetchall()
            base.unregister("rows")
            found += [part[n] for (n,) in answer]
        return found
    except duckdb.Error as e:
        first = str(e).partition("\n")[0]
        raise _refused(first, first) from None
    finally:
        late.cancel()
        base.close()


def _arrow_type(pa: Any, column: Column) -> Any:
    if column.form == "integer":
        return pa.int64()
    if column.form in ("decimal", "wide"):
        return pa.decimal128(column.digits, column.decimals)
    return pa.string()


def _sqlite(condition: Condition, rows: Sequence[Row]) -> list[Row]:
    base = sqlite3.connect(":memory:")
    try:
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1 << 24)
        base.execute("PRAGMA case_sensitive_like = ON")
        # Its own know ASCII only.
        base.create_function("lower", 1, _case(str.lower), deterministic=True)
        base.create_function("upper", 1, _case(str.upper), deterministic=True)
        types = {"integer": "INTEGER", "wide": "NUMERIC", "decimal": "REAL"}
        names = "".join(f', "{c.name}" {types.get(c.form, "TEXT")}' for c in condition.used)
        base.execute(f'CREATE TABLE rows ("row number" INTEGER PRIMARY KEY{names})')
        base.commit()
        base.isolation_level = None
        steps = iter(range(_STEPS))
        base.set_progress_handler(lambda: 0 if next(steps, None) is not None else 1, 100_000)
        cells = [_sqlite_cell(c) for c in condition.used]
        insert = f"INSERT INTO rows VALUES (?{', ?' * len(cells)})"
        found: list[Row] = []
        for part in chunks(rows) if rows else [[]]:
            base.execute("DELETE FROM rows")
            base.executemany(insert, ([n, *(cell(row) for cell in cells)] for n, row in enumerate(part)))
            base.set_authorizer(_allowed)
            answer = base.execute(
                f'SELECT "row number" FROM rows WHERE ({condition.sql}\n) ORDER BY 1'
            ).fetchall()
            base.set_authorizer(None)
            found += [part[n] for (n,) in answer]
        return found
    except (sqlite3.Error, sqlite3.Warning) as e:
        raise _refused(str(e), str(e)) from None
    finally:
        base.close()


def _allowed(action: int, name: str | None, *_: object) -> int:
    reading = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION)
    return sqlite3.SQLITE_OK if action in reading and name != "sqlite_master" else sqlite3.SQLITE_DENY


def _case(change: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else change(str(value))


def _sqlite_cell(column: Column) -> Callable[[Row], Any]:
    cell = _cell(column)
    if column.form in ("decimal", "wide"):
        return lambda row: None if (v := cell(row)) is None else float(v)
    return cell
