"""Counters of LoRaWAN that jump ahead or fall back: an old session restored, a device reset, a frame replayed.

With keys the frame is sealed again under the other number (TS001-1.0.4 sections 4.3.3 and 4.4), so that only the
number is wrong. Without, the MIC stays, and is wrong as well. Keys count as the lab's where they lie in the folder
of a lab tenant (TRUST 12): a frame that is sealed here uses a number which its device uses again.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from host_tools.errors import InputError, UsageError
from host_tools.lorawan import crypto, phy
from host_tools.lorawan.crypto import Aes

if TYPE_CHECKING:
    from host_tools.faults import Fault, Item
    from host_tools.lorawan.keysfile import Session

# Bands of 65536 numbers in which a frame's own is looked for, as the decoder does for a session it does not know.
_BANDS = 16
_LAST = (1 << 32) - 1


class _Keys:
    """nwk, app: of a session. high: the upper half of the number found last, and what is tried first."""

    def __init__(self, session: Session) -> None:
        self.nwk = Aes(session.nwk_s_key)
        self.app = Aes(session.app_s_key) if session.app_s_key else None
        self.high = [session.fcnt_up >> 16, session.fcnt_down >> 16]

    def number(self, data: bytes, parsed: phy.Data) -> int | None:
        """The 32 bits of a frame's number, None where its MIC is not of this session."""
        way = parsed.direction
        near = self.high[way]
        for high in dict.fromkeys((near, near + 1, *range(_BANDS))):
            number: int = high << 16 | parsed.fcnt
            if crypto.data_mic(self.nwk, way, parsed.dev_addr, number, data[:-4]) == parsed.mic:
                self.high[way] = high
                return number
        return None


class Counters:
    """One fault of counters. InputError and UsageError for its keys, before anything is struck."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._step = fault.by if fault.kind == "counter_jump" else -fault.by
        # By DevAddr, where what follows is moved, too.
        self._moved: dict[int, int] = {}
        self._sessions: dict[int, list[_Keys]] = {}
        if fault.keys:
            for session in _lab_sessions(fault.tenant, fault.keys):
                self._sessions.setdefault(session.dev_addr, []).append(_Keys(session))

    def struck(self, items: Iterable[Item], chance: random.Random) -> Iterator[Item]:
        """The items, uplinks among them under other numbers; one whose keys are not at hand stays as it is."""
        fault = self._fault
        for item in items:
            strikes = fault.strikes(item.origin, chance)
            if item.added or item.lost or item.frame.network is not None:
                yield item
            else:
                yield self._one(item, strikes)

    def _one(self, item: Item, strikes: bool) -> Item:
        parsed = _uplink(item.frame.data)
        if parsed is None:
            return item
        step = self._moved.get(parsed.dev_addr, 0) + (self._step if strikes else 0)
        data = self._renumbered(item.frame.data, parsed, step) if step else None
        if data is None or data == item.frame.data:
            return item
        if self._fault.lasting:
            self._moved[parsed.dev_addr] = step
        return item.hit(self._fault.kind, replace(item.frame, data=data))

    def _renumbered(self, data: bytes, parsed: phy.Data, step: int) -> bytes | None:
        if not self._fault.keys:
            return _with_number(data, (parsed.fcnt + step) & 0xFFFF)
        for keys in self._sessions.get(parsed.dev_addr, ()):
            number = keys.number(data, parsed)
            if number is not None:
                return _sealed(data, parsed, keys, number, min(max(number + step, 0), _LAST))
        return None


def _uplink(data: bytes) -> phy.Data | None:
    try:
        parsed = phy.parse(data)
    except phy.BadFrame:
        return None
    return parsed if isinstance(parsed, phy.Data) and parsed.direction == phy.UP else None


def _with_number(data: bytes, low: int) -> bytes:
    return data[:6] + low.to_bytes(2, "little") + data[8:]


def _sealed(data: bytes, parsed: phy.Data, keys: _Keys, old: int, new: int) -> bytes | None:
    """The frame under number `new`; None where its payload cannot be opened."""
    body = parsed.body
    if body:
        key = keys.app if parsed.fport else keys.nwk
        if key is None:
            return None
        clear = crypto.crypt(key, phy.UP, parsed.dev_addr, old, body)
        body = crypto.crypt(key, phy.UP, parsed.dev_addr, new, clear)
    message = _with_number(data, new & 0xFFFF)[: len(data) - 4 - len(body)] + body
    return message + crypto.data_mic(keys.nwk, phy.UP, parsed.dev_addr, new, message)


def _lab_sessions(folder: str, name: str) -> tuple[Session, ...]:
    from host_tools.lorawan.keysfile import Keys
    from provisioning.tenant import Tenant

    tenant = Tenant.open(folder)
    if not tenant.lab:
        raise UsageError(f"{tenant.name} is no lab tenant: keys in its folder seal no test frame")
    path = (Path(folder) / name).resolve()
    if not path.is_relative_to(Path(folder).resolve()):
        raise UsageError(f"{name} is not in the folder of the lab tenant {tenant.name}")
    sessions = tuple(Keys.load(path).sessions)
    if not sessions:
        raise InputError(
            f"{path} holds no session, only devices", "a session: dev_addr, nwk_s_key, app_s_key"
        )
    return sessions
