"""JSON values of a byte stream, one after the other: on lines of their own, one behind the other, over several
lines, or as the elements of an array around everything. Every byte belongs to exactly one piece.

RFC 8259, taken strictly: no duplicate keys, no NaN, no number beyond a double, no NUL, no broken UTF-8; 64
levels deep and 1 MiB long at most. One bad value costs only itself, in bounded memory. Where its end cannot
be told by its brackets, the next line that begins like it, with as many spaces and "{", is the next value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

LIMIT = 1 << 20
DEPTH = 64

_CHUNK = 1 << 16
_BOM = b"\xef\xbb\xbf"
# A double has at most 309 digits before the point; no sensible number has as many behind it.
_DIGITS = 309

_BLANK = re.compile(rb"[ \t\r\n\x1e]*")  # 0x1E begins a value in RFC 7464
_BLANK_LIST = re.compile(rb"[ \t\r\n\x1e,]*")
_TAIL = re.compile(rb"[ \t]{0,256}(?:\r\n|\n|\r)?")
_TAIL_LIST = re.compile(rb"[ \t]{0,256},?[ \t]{0,256}(?:\r\n|\n|\r)?")
# Blanks and one token: a mark, a string with its end if that is there, or a number or word.
_TOKEN = re.compile(
    rb"[ \t\r\n]*+(?:([{}\[\]:,])"
    rb'|("[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+)("?+)'
    rb'|([^\s{}\[\]:,"\x00-\x1f]{1,400}+))?+'
)
_MARK, _QUOTE, _WORD = 1, 3, 4
# As far as nothing can end there.
_SKIP_STRING = re.compile(rb'[^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+')
_SKIP_REST = re.compile(rb'[^"{}\[\]\r\n]*+(?:(?:\{\}|\[\])[^"{}\[\]\r\n]*+)*+')
_SKIP_ITEM = re.compile(rb"[^\r\n,\]]*+")
_SKIP_LINE = re.compile(rb"[^\r\n]*+")
# After this many brackets and strings of what cannot be read, its line's end will do.
_PATIENCE = 1 << 20
_BRACKETS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[{\[]++|[}\]]++', re.DOTALL)
# NUL and halves of a pair of UTF-16, which no UTF-8 can say.
_DOUBTFUL = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class BadRecord(Exception):  # noqa: N818 - caught where a record is made of it
    """A value that is no record; `reason` is a name of firmware/protocols/reasons.py."""

    def __init__(self, reason: str = "bad_record") -> None:
        super().__init__(reason)
        self.reason = reason


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRecord("duplicate_key")
    return found


def _real(text: str) -> Decimal:
    if len(text) > _DIGITS or math.isinf(near := float(text)):
        raise BadRecord("out_of_range")
    # Below the smallest double it is zero: an exponent of a million digits is for nobody to expand.
    return Decimal(text) if near else Decimal(0)


def _whole(text: str) -> int:
    if len(text) > _DIGITS or (len(text) == _DIGITS and math.isinf(float(text))):
        raise BadRecord("out_of_range")
    return int(text)


def _constant(text: str) -> None:
    raise BadRecord("bad_json")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_real, parse_int=_whole, parse_constant=_constant
)


def _too_deep(raw: bytes) -> bool:
    if raw.count(b"{") + raw.count(b"[") <= DEPTH:
        return False
    depth = 0
    for match in _BRACKETS.finditer(raw):
        token = match.group()
        if token[0] in b"{[":
            depth += len(token)
            if depth > DEPTH:
                return True
        elif token[0] in b"}]":
            depth -= len(token)
    return False


def _check(raw: bytes, value: Any) -> None:
    """What a parser lets pass and the rest of the tools must not meet."""
    if _too_deep(raw):
        raise BadRecord("too_deep")
    if not _DOUBTFUL.search(raw):
        return
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str):
            if "\0" in item:
                raise BadRecord("bad_json")
            try:
                item.encode()
            except UnicodeEncodeError:
                raise BadRecord("bad_utf8") from None


def loads(raw: bytes) -> Any:
    """One JSON value, fractions as Decimal. BadRecord with the reason for anything that is none."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise BadRecord("bad_utf8") from None
    if _too_deep(raw):
        raise BadRecord("too_deep")
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise BadRecord("too_deep") from None
    except ValueError:
        raise BadRecord("bad_json") from None
    _check(raw, value)
    return value


def dumps(value: Any) -> str:
    """JSON text without spaces, Decimal digit by digit."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(k))}:{dumps(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dumps, value)) + "]"
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)


def looks_like_json(head: bytes) -> bool:
    """True where a file that begins so holds objects, or an array of them."""
    return re.match(rb"[\s\x1e]*+\[?+[\s\x1e]*+\{\s*+(?:\"|\}|$)", head.removeprefix(_BOM)) is not None


Piece = tuple[bytes, dict[str, Any] | None, str]


def values(stream: BinaryIO, limit: int = LIMIT) -> Iterator[Piece]:
    """(raw, value, reason) of each piece; the raws, joined, are the stream.

    value: an object. Without one, reason tells what is wrong with a value; where that is "" the piece is
    what stands around values, or goes on with the bad value before it. Only the stream's own OSError is
    raised.
    """
    return _Splitter(stream, limit).pieces()


class _Stopped(Exception):  # noqa: N818 - tells how the careful scan ended
    """`off`: where; `depth`, `quoted`: inside of what."""

    def __init__(self, off: int, depth: int, quoted: bool, reason: str) -> None:
        self.off = off
        self.depth = depth
        self.quoted = quoted
        self.reason = reason


class _Splitter:
    # Offsets (`off`) count from `start`, where the piece at work begins; reading on moves the buffer.

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        # A pipe gives what it has; a file gives a whole chunk either way.
        self._read = getattr(stream, "read1", stream.read)
        self._limit = limit
        self._buf = b""
        self._start = 0
        self._ended = False
        self._listed = False
        self._new_line = True
        # How many bytes may be read a second time, so that hostile lines cannot make all be read often.
        self._credit = _CHUNK

    def _fill(self) -> bool:
        if self._ended:
            return False
        more = self._read(_CHUNK)
        self._ended = not more
        self._buf = self._buf[self._start :] + more
        self._start = 0
        return not self._ended

    def _have(self, off: int) -> bool:
        while len(self._buf) - self._start <= off:
            if not self._fill():
                return False
        return True

    def _take(self, off: int) -> bytes:
        raw = self._buf[self._start : self._start + off]
        self._start += off
        if raw:
            self._new_line = raw[-1] in b"\r\n"
        self._credit = min(self._credit + off, LIMIT)
        return raw

    def _rest(self) -> int:
        return len(self._buf) - self._start

    def pieces(self) -> Iterator[Piece]:
        off = 3 if self._have(2) and self._buf.startswith(_BOM) else 0
        while True:
            blank = _BLANK_LIST if self._listed else _BLANK
            match = blank.match(self._buf, self._start + off)
            off = match.end() - self._start if match else off
            if off >= _CHUNK:
                yield self._take(off), None, ""
                off = 0
            if not self._have(off):
                break
            first = self._buf[self._start + off]
            if first in b"[]" and self._listed == (first == 0x5D):
                self._listed = not self._listed
                off += 1
            elif first in b" \t\r\n\x1e" or (first == 0x2C and self._listed):
                continue
            elif first in b"{[":
                yield from self._value(off)
                off = 0
            else:
                yield from self._skip(off, 0, False, "bad_json", b"")
                off = 0
        if self._listed or self._rest():
            yield self._take(self._rest()), None, "truncated" if self._listed else ""

    def _value(self, off: int) -> Iterator[Piece]:
        found = self._quick(off)
        if found is not None:
            yield self._whole(*found, "")
            return
        indent = self._indent(off)
        try:
            end = self._careful(off)
        except _Stopped as stop:
            again = self._next_line(off, stop.off, indent)
            if again:
                yield self._take(again), None, "truncated"
            elif stop.reason == "truncated" and not self._have(stop.off):
                self._listed = False
                yield self._take(self._rest()), None, "truncated"
            else:
                yield from self._skip(stop.off, stop.depth, stop.quoted, stop.reason, indent)
            return
        value: Any = None
        reason = ""
        try:
            value = loads(self._buf[self._start + off : self._start + end])
            if not isinstance(value, dict):
                value, reason = None, "bad_record"
        except BadRecord as e:
            reason = e.reason
        yield self._whole(end, value, reason)

    def _whole(self, end: int, value: dict[str, Any] | None, reason: str) -> Piece:
        """The piece of a value that ends at `end`, with the rest of its line where nothing follows on it."""
        tail = _TAIL_LIST if self._listed else _TAIL
        while True:
            match = tail.match(self._buf, self._start + end)
            stop = match.end() - self._start if match else end
            open_end = stop == self._rest() and (stop == end or self._buf[-1] != 0x0A)
            if not open_end or not self._fill():
                return self._take(stop), value, reason

    def _quick(self, off: int) -> tuple[int, dict[str, Any]] | None:
        """End and value where all of it is in the buffer and nothing is wrong with it."""
        at = self._start + off
        line = self._buf.find(b"\n", at)
        for stop in (len(self._buf) if line < 0 else line, at + 4096, len(self._buf)):
            window = self._buf[at:stop]
            try:
                text = window.decode()
            except UnicodeDecodeError as e:
                # Often only a character that the end of the buffer cuts.
                text = window[: e.start].decode()
            try:
                value, end = _DECODER.raw_decode(text)
                size = end if text.isascii() else len(text[:end].encode())
                if size > self._limit or not isinstance(value, dict):
                    return None
                _check(window[:size], value)
                return off + size, value
            except json.JSONDecodeError as e:
                if e.pos < len(text) - 8 and not e.msg.startswith("Unterminated"):
                    return None
                if stop >= len(self._buf):
                    return None
            except (RecursionError, BadRecord):
                return None
        return None

    def _careful(self, off: int) -> int:
        """Where the value ends by its brackets, read on as far as needed; _Stopped where it has no end."""
        top = off + self._limit
        stack = bytearray()
        need = "value"
        while True:
            match = _TOKEN.match(self._buf, self._start + off)
            assert match  # every part of it may be empty
            end = match.end() - self._start
            kind = match.lastindex or 0
            quoted = kind == _QUOTE and not match[_QUOTE]
            begin = match.start(kind if kind != _QUOTE else _QUOTE - 1) - self._start
            # How much a stream gives at once decides nothing: blanks wait for what is behind them.
            if end > top + (0 if kind else _CHUNK):
                raise _Stopped(begin if kind and not quoted else end, len(stack), quoted, "too_long")
            # A backslash at the end of the buffer waits for what it escapes.
            left = self._buf[self._start + end : self._start + end + 2]
            if not left or (quoted and left == b"\\"):
                if kind in (0, _WORD) or quoted:
                    off = off if kind else end
                    if self._fill():
                        continue
                    raise _Stopped(self._rest(), len(stack), quoted, "truncated")
            elif quoted or not kind:
                cut = quoted and left[-1 if left[0] == 0x5C else 0] in b"\r\n"
                raise _Stopped(end, len(stack), quoted, "truncated" if cut else "bad_json")
            token = self._buf[self._start + begin] if kind == _MARK else 0x22 if kind == _QUOTE else 0
            need = _GRAMMAR.get((need, token, stack[-1:] == b"{"), "")
            if not need:
                new_line = token == 0x7B and self._buf[self._start + begin - 1] in b"\r\n"
                raise _Stopped(begin, len(stack), False, "truncated" if new_line else "bad_json")
            if token in (0x7B, 0x5B):
                if len(stack) == DEPTH:
                    raise _Stopped(begin, DEPTH, False, "too_deep")
                stack.append(token)
            elif token in (0x7D, 0x5D):
                stack.pop()
                if not stack:
                    return end
            off = end

    def _indent(self, off: int) -> bytes:
        """The spaces ahead of a value that begins its line, else none."""
        head = self._buf[self._start : self._start + off]
        begin = max(head.rfind(b"\n"), head.rfind(b"\r")) + 1
        lead = head[begin:].removeprefix(_BOM)
        return lead if (begin or self._new_line) and not lead.strip(b" \t") and len(lead) <= 256 else b""

    def _next_line(self, off: int, stop: int, indent: bytes) -> int:
        """Offset of the first line after `off` that begins like the value there, 0 without; up to `stop`."""
        match = re.compile(rb"[\r\n]" + re.escape(indent) + rb"\{").search(
            self._buf, self._start + off, self._start + stop + 1
        )
        if match is None:
            return 0
        found = match.start() + 1 - self._start
        if stop - found > self._credit:
            return 0
        self._credit -= stop - found
        return found

    def _skip(self, off: int, depth: int, quoted: bool, reason: str, indent: bytes) -> Iterator[Piece]:
        """Pieces of what cannot be read, up to where its brackets close or the next value begins."""
        plain = (_SKIP_ITEM if self._listed else _SKIP_LINE) if depth == 0 else None
        patience = _PATIENCE
        while True:
            if off >= _CHUNK:
                yield self._take(off), None, reason
                reason, off = "", 0
            pattern = plain or (_SKIP_STRING if quoted else _SKIP_REST)
            match = pattern.match(self._buf, self._start + off)
            off = match.end() - self._start if match else off
            mark = self._buf[self._start + off : self._start + off + 1]
            after = self._buf[self._start + off + 1 : self._start + off + 2]
            if not mark or (not after and mark in b"\\\r"):
                if off >= _CHUNK or self._fill():
                    continue
                self._listed = False
                yield self._take(self._rest()), None, reason
                return
            if mark in b"\r\n":
                quoted = False
                off += 2 if mark + after == b"\r\n" else 1
                if not plain:
                    self._have(off + len(indent))
                if plain or self._buf.startswith(indent + b"{", self._start + off):
                    yield self._take(off), None, reason
                    return
                continue
            if plain:
                yield self._take(off), None, reason
                return
            off += 1
            patience -= 1
            if patience == 0:
                plain = _SKIP_LINE
            if mark == b'"':
                quoted = not quoted
            elif mark != b"\\":
                depth += 1 if mark in b"{[" else -1
                if not depth:
                    yield self._whole(off, None, reason)
                    return


def _grammar() -> dict[tuple[str, int, bool], str]:
    """(what is wanted, token, inside an object) to what is wanted next; a missing entry is an error. Token 0 is a
    number or a word.
    """
    table = {}
    for inside in (False, True):
        for token in b'{["\0':
            after = {0x7B: "key or end", 0x5B: "item or end"}.get(token, "next")
            table["value", token, inside] = after
            table["item or end", token, inside] = after
        table["item or end", 0x5D, inside] = "next"
    for need in ("key", "key or end"):
        table[need, 0x22, True] = "colon"
    table["key or end", 0x7D, True] = "next"
    table["colon", 0x3A, True] = "value"
    table["next", 0x2C, True] = "key"
    table["next", 0x2C, False] = "value"
    table["next", 0x7D, True] = "next"
    table["next", 0x5D, False] = "next"
    return table


_GRAMMAR = _grammar()
