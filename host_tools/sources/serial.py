"""A serial port: gateway records (two length bytes and the record, as on the gateway's other lines) and hex lines,
also mixed with a board's own log, which counts as unreadable.

A record is answered when it is on the disk, without downlinks; a gateway keeps it until then. A hex line comes
once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from firmware.protocols import gwrecord
from firmware.protocols.cbor import WireError
from host_tools.errors import PeerError
from host_tools.formats import hexlines
from host_tools.formats.gwrecord import parse as parse_record
from host_tools.frames import Record
from host_tools.sources import Address, Message, Sink, Source, need

# A record is an array of 13 with a 1 and an EUI of 8 bytes ahead; the largest has far less than 512 bytes.
_RECORD = re.compile(rb"[\x00\x01].\x8d\x01\x48", re.DOTALL)
_MAX_LINE = 4096
RETRY_S = 0.5


def pieces(buffer: bytearray) -> Iterator[tuple[bool, bytes]]:
    """(is it a record with its length, bytes) of what is complete in `buffer`, which keeps the rest."""
    while buffer:
        mark = _RECORD.search(buffer)
        line = buffer.find(b"\n")
        begin = mark.start() if mark else len(buffer)
        if 0 <= line < begin:
            yield False, bytes(buffer[: line + 1])
            del buffer[: line + 1]
        elif mark and begin:
            # A line that a record breaks into, or the rest of a record that was cut.
            yield False, bytes(buffer[:begin])
            del buffer[:begin]
        elif mark:
            size = 2 + (buffer[0] << 8 | buffer[1])
            if len(buffer) < size:
                return
            yield True, bytes(buffer[:size])
            del buffer[:size]
        elif len(buffer) > _MAX_LINE:
            yield False, bytes(buffer[:-4])  # the last bytes may begin a record
            del buffer[:-4]
        else:
            return


class SerialSource(Source):
    def __init__(self, port: str, baud: int, sink: Sink, tell: Callable[[str], None]) -> None:
        super().__init__(sink, tell)
        self._serial = need("serial")
        self._place, self._baud = port, baud
        self.where = f"{port} at {baud}"
        try:
            self._port: Any = self._opened()
        except (OSError, ValueError) as e:
            raise PeerError(
                f"cannot open {port}: {self._words(e)}", "`lanterne doctor` lists ports"
            ) from None

    def _opened(self) -> Any:
        port = self._serial.Serial(None, self._baud, timeout=0.1, write_timeout=1, exclusive=True)
        # A change of these lines resets many boards.
        port.dtr = port.rts = False
        port.port = self._place
        port.open()
        return port

    @staticmethod
    def _words(error: Exception) -> str:
        if getattr(error, "errno", None) == 2 or "No such file" in str(error):
            return "there is no such port"
        return getattr(error, "strerror", None) or str(error)

    def _close(self) -> None:
        if self._port is not None:
            self._port.close()

    def _run(self) -> None:
        buffer = bytearray()
        while not self._stop.is_set():
            try:
                data = self._port.read(max(self._port.in_waiting, 1))
            except (OSError, TypeError):  # pyserial: TypeError where the port goes in the middle of a call
                if not self._again():
                    return
                buffer.clear()
                continue
            buffer += data
            self._take(list(pieces(buffer)))

    def _again(self) -> bool:
        """Wait for the port to come back; False when the end was asked for."""
        self._tell(f"{self._place} is gone")
        self._port.close()
        while not self._stop.wait(RETRY_S):
            try:
                self._port = self._opened()
            except (OSError, ValueError):
                continue
            self._tell(f"{self._place} is here")
            return True
        return False

    def _kept(self, is_record: bool, raw: bytes) -> bytes:
        """Hand a piece over; the answer to a record that was taken, else b""."""
        if not is_record:
            record = hexlines.parse(raw)
            if record.frames or record.reason:
                self._keep(Message(record, hexlines.NAME))
            return b""
        try:
            told = parse_record(raw[2:])
        except WireError:
            # Not answered: the gateway has it whole and sends it again.
            self._keep(Message(Record(raw, reason="bad_record"), ""))
            return b""
        kept = self._keep(Message(Record(raw, (told.frame(0),)), "gwrecord"))
        return bytes(gwrecord.prefixed(gwrecord.pack_answer(told.number, []))) if kept else b""

    def _take(self, found: list[tuple[bool, bytes]]) -> None:
        answers = []
        for is_record, raw in found:
            with self.unharmed():
                answers.append(self._kept(is_record, raw))
        if not found or not self._sync():
            return
        try:
            self._port.write(b"".join(answers))
        except (OSError, TypeError):
            return  # the next read finds the port gone; without an answer the records come again


def open_source(where: Address, sink: Sink, tell: Callable[[str], None], client: str) -> Source:
    return SerialSource(where.path, where.baud, sink, tell)
