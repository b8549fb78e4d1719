"""What the store has to say to a device, one downlink after an uplink (TRUST 3, 4): commands that wait, the
time, word that a segment is signed, and what to send again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from firmware.protocols import ports
from host_tools.commander import Command, Commander
from host_tools.receiver import Outcome, Receiver
from host_tools.rows import unix_us_to_wire_ms
from host_tools.verdict import Verified
from host_tools.view import Want

WIRE_EPOCH_GPS = 1451260818  # GPS second of 2026-01-01T00:00:00Z
# Chosen: a device sleeps between uplinks, so what it was asked for takes some of them to come.
ASK_AGAIN_US = 1800 * 1_000_000
MAX_ASKS = 5
REF_TTL_S = 600
# Kinds on the mains that always listen; the others do after an uplink only.
LISTENING = ("lamp", "cabinet")


@dataclass
class _Asked:
    times: int
    at_us: int
    cseqs: set[int]


@dataclass
class _Device:
    """ref: number and time of the last uplink that a command may refer to."""

    ref: int = 0
    ref_us: int = 0


class Answers:
    """Decides the downlink after each uplink. Takes no clock: all times are those of the receptions."""

    def __init__(self, commander: Commander, receiver: Receiver) -> None:
        self._commander = commander
        self._receiver = receiver
        self._waiting: dict[bytes, deque[tuple[str, Sequence[Any], int]]] = {}
        self._devices: dict[bytes, _Device] = {}
        self._asked: dict[Want, _Asked] = {}
        # How far each epoch's segments were looked at, and those whose word is due. Segments that were whole
        # before this program began had theirs then.
        self._looked = {key: epoch.acks()[0] for key, epoch in receiver.epochs.items()}
        self._due: dict[tuple[bytes, bytes, int], dict[int, None]] = {key: {} for key in receiver.epochs}
        self._acked: set[tuple[tuple[bytes, bytes, int], int]] = {
            (key, k) for key, epoch in receiver.epochs.items() for k in epoch.acks()[1]
        }
        self.issued: list[Command] = []

    def queue(self, device: bytes | str, op: str, args: Sequence[Any] = (), ttl_s: int = REF_TTL_S) -> None:
        """Send a command after the device's next uplink."""
        record = self._commander.record(device)
        self._waiting.setdefault(record.device, deque()).append((op, args, ttl_s))

    def listens(self, device: bytes) -> bool:
        """Whether the device hears a downlink at any time, and not in a window after its uplink only."""
        return self._commander.record(device).kind in LISTENING

    def after(self, outcome: Outcome, time_us: int) -> list[Command]:
        """The downlinks for the window after a reception at `time_us` (Unix microseconds): none or one."""
        found = outcome.verified
        if found is None or not outcome.new or outcome.state not in ("signed", "authenticated"):
            return []
        device = found.record.device
        if not self._commander.commands(device):
            return []
        state = self._devices.setdefault(device, _Device())
        self._note(found, state, time_us, outcome)
        if not state.ref or not 0 <= time_us - state.ref_us <= REF_TTL_S * 1_000_000:
            return []
        chosen = self._choose(found, state, time_us)
        if chosen is None:
            return []
        op, args, ttl_s = chosen
        command = self._commander.build(device, op, args, state.ref, ttl_s)
        self.issued.append(command)
        if op == "want":
            want = Want(device, found.record.epoch, args[0], tuple(args[1]))
            self._asked[want].cseqs.add(command.cseq)
        return [command]

    def _note(self, found: Verified, state: _Device, time_us: int, outcome: Outcome) -> None:
        content = found.content
        if content.type == "hello":
            # The device booted: it remembers no number from before.
            state.ref = 0
        if found.purpose == ports.RESULT and content.type in ("result", "leaf"):
            last = content.fields.get("last_cseq", content.fields["cseq"])
            outcome_number = content.fields.get("outcome", 0)
            self._commander.heard(
                found.record.device, found.record.epoch, content.fields["cseq"], outcome_number, last
            )
            for asked in self._asked.values():
                if content.type == "result" and content.fields["cseq"] in asked.cseqs:
                    asked.times = MAX_ASKS  # refused, or gone for ever
        if not outcome.fragment and found.seq > state.ref:
            # A device dates only frames that it sent whole and once.
            state.ref, state.ref_us = found.seq, time_us

    def _choose(self, found: Verified, state: _Device, time_us: int) -> tuple[str, Sequence[Any], int] | None:
        device = found.record.device
        key = (found.record.tenant, device, found.record.epoch)
        epoch = self._receiver.epochs[key]
        if self._waiting.get(device):
            return self._waiting[device].popleft()
        fresh = state.ref == found.seq and state.ref_us == time_us
        if fresh and found.purpose == ports.READING and "time" not in found.content.fields:
            wire_ms = unix_us_to_wire_ms(time_us)
            return "time", (WIRE_EPOCH_GPS + wire_ms // 1000, wire_ms % 1000), 120
        self._looked[key], whole = epoch.acks(self._looked[key])
        due = self._due[key]
        due.update(dict.fromkeys(k for k in whole if (key, k) not in self._acked))
        if due:
            ack = min(due)
            del due[ack]
            self._acked.add((key, ack))
            return "ck_ack", (ack,), REF_TTL_S
        for want in epoch.wants():
            asked = self._asked.get(want)
            if asked is None:
                asked = self._asked[want] = _Asked(0, 0, set())
            if asked.times < MAX_ASKS and (not asked.times or time_us - asked.at_us >= ASK_AGAIN_US):
                asked.times += 1
                asked.at_us = time_us
                return "want", (want.seq, list(want.seqs)), REF_TTL_S
        return None
