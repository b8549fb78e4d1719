"""Which session a LoRaWAN frame belongs to, under which counter, and what it says (TS001-1.0.4 4.3, 4.4).

Frames come in any order. Sessions are those given and those that follow from joins (`joining`); the upper 16
bits of a counter, which no frame carries, are found by the MIC. What is said of a frame follows from the set
of frames, never from their order (TRUST 2): each rule looks at bytes and at the earliest time of each frame.
(A frame that fits two candidates by chance, 2^-32 for each trial, gets the one tried first.)

Candidate sessions of a data frame are all of its DevAddr; of more than MAX_SESSIONS, those given first, then
those whose accept is nearest in time. Candidate counters are the first FIRST_BANDS x 65536 numbers and, in
each session and direction, one band of 65536 below and above everything verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from host_tools.frames import Frame, Network
from host_tools.lorawan import crypto, mac, phy
from host_tools.lorawan.crypto import Aes
from host_tools.lorawan.joining import Derived, Join, Joins
from host_tools.lorawan.keysfile import Keys
from host_tools.lorawan.keysfile import Session as Given

MAX_SESSIONS = 64
# 2^20 frames: one each minute for two years.
FIRST_BANDS = 16
_BANDS = 1 << 16
_NONE: frozenset[int] = frozenset()


@dataclass(slots=True)
class Opened:
    """What is known of a frame. mic: good; bad: keys are at hand and none fits; unchecked: none is at hand;
    network: the network server's word. fcnt: 32 bits. fcnt, payload: None where no session fits; payload also
    without a port, or without the AppSKey.

    direction: 0 up, 1 down, None unknown. dev_eui, name: empty where unknown, or where several devices with
    one AppKey may be meant. mac_commands: of FOpts, which travels in clear, so that with any MIC but a good one
    they are nobody's word; or of a port 0 payload. reason: why the bytes are no LoRaWAN frame.
    """

    mtype: str = ""
    direction: int | None = None
    mic: str = "unchecked"
    dev_addr: int | None = None
    dev_eui: bytes = b""
    name: str = ""
    fcnt: int | None = None
    fport: int | None = None
    flags: frozenset[str] = frozenset()
    mac_commands: Sequence[mac.Command] = ()
    payload: bytes | None = None
    join: phy.JoinRequest | phy.Accept | phy.Rejoin | None = None
    reason: str = ""


class _Counter:
    """Which numbers a session's frames of one direction may bear, in bands of 65536."""

    __slots__ = ("bands", "order", "seen", "top")

    def __init__(self, near: int) -> None:
        self.bands = set(range(FIRST_BANDS))
        # Bands in which something was verified.
        self.seen: set[int] = set()
        self.top = 0
        self.order: list[int] = []
        self.open_near(near)

    def open_near(self, fcnt: int) -> frozenset[int] | set[int]:
        """Let numbers near a verified one be tried; returns the new bands."""
        band = fcnt >> 16
        if fcnt > self.top:
            self.top = fcnt
        if band in self.seen:
            return _NONE
        self.seen.add(band)
        fresh = {b for b in (band - 1, band, band + 1) if 0 <= b < _BANDS} - self.bands
        self.bands |= fresh
        top = self.top >> 16
        self.order = sorted(self.bands, key=lambda b: (abs(b - top), b))
        return fresh


class _Session:
    """One NwkSKey under one DevAddr. given: as the keys have it, if they do; joined: by the accepts behind it."""

    __slots__ = ("app", "counters", "given", "joined", "nwk")

    def __init__(self, nwk: Aes, app: Aes | None, given: Given | None = None) -> None:
        self.nwk = nwk
        self.app = app
        self.given = given
        self.joined: dict[int, tuple[Join, Derived]] = {}
        self.counters: tuple[_Counter, _Counter]
        self.reset()

    def reset(self) -> None:
        near = (self.given.fcnt_up, self.given.fcnt_down) if self.given else (0, 0)
        self.counters = (_Counter(near[0]), _Counter(near[1]))

    def rank(self, time_us: int) -> tuple[bool, int, bytes]:
        """What puts a session first, where there are too many to try all for a frame of that time."""
        if self.given is not None or not time_us:
            return self.given is None, 0, self.nwk.key
        times = [join.time_us for join, _ in self.joined.values()]
        return True, min(abs(t - time_us) if t else 0 for t in times), self.nwk.key

    def whose(self) -> tuple[bytes, str]:
        """DevEUI and name, as far as they are known and certain."""
        given = self.given
        if given is not None and given.dev_eui:
            return given.dev_eui, given.name
        found = {(d.dev_eui, d.name) for _, d in self.joined.values()}
        dev_eui, name = found.pop() if len(found) == 1 else (b"", "")
        return dev_eui, (given.name if given is not None and given.name else name)


class _Entry:
    """One distinct frame."""

    __slots__ = ("count", "data", "fcnt", "n", "network", "reason", "session", "time_us")

    def __init__(self, n: int, frame: Frame) -> None:
        self.n = n
        self.data = frame.data
        self.time_us = frame.time_us
        self.network = frame.network
        self.reason = frame.reason
        self.count = 1
        self.session: _Session | None = None
        self.fcnt = 0

    @property
    def way(self) -> int:
        return self.data[0] >> 5 & 1

    def parsed(self) -> phy.Phy | None:
        """Taken apart anew each time, as most are looked at twice at most. None for what is no frame."""
        return None if self.reason or self.network is not None else phy.parse(self.data)

    def fits(self, parsed: phy.Data, session: _Session, bands: Iterable[int]) -> bool:
        """Try the numbers that a data frame may have in some bands; on success `fcnt` is the one."""
        message, way, mic, addr = self.data[:-4], parsed.mtype & 1, parsed.mic, parsed.dev_addr
        low, nwk = parsed.fcnt, session.nwk
        for band in bands:
            fcnt = band << 16 | low
            # No answer goes out whose time could tell how much of it was right.
            if crypto.data_mic(nwk, way, addr, fcnt, message) == mic:
                self.fcnt = fcnt
                return True
        return False

    def fits_again(self, session: _Session, bands: Iterable[int]) -> bool:
        """The same for a frame that nothing fitted before."""
        parsed = phy.parse(self.data)
        assert type(parsed) is phy.Data
        return self.fits(parsed, session, bands)


class _Address:
    """All of one DevAddr. sessions: what fitted last comes first, which saves trials and decides nothing."""

    __slots__ = ("dirty", "entries", "failed", "sessions")

    def __init__(self) -> None:
        self.sessions: list[_Session] = []
        self.entries: list[_Entry] = []
        self.failed: dict[int, _Entry] = {}
        self.dirty = False

    @property
    def crowded(self) -> bool:
        return len(self.sessions) > MAX_SESSIONS

    def candidates(self, entry: _Entry) -> list[_Session]:
        if not self.crowded:
            return self.sessions
        return sorted(self.sessions, key=lambda s: s.rank(entry.time_us))[:MAX_SESSIONS]

    def find(self, nwk: bytes) -> _Session | None:
        return next((s for s in self.sessions if s.nwk.key == nwk), None)


class Sessions:
    """Takes frames in and says what they are. `add` gives a token; `opened` what its frame is found to be by now.

    After all frames, `opened` says the same whatever their order was. For live traffic: `opened` directly after
    `add`, and `changed` for the earlier frames on which a later one shed light.
    """

    def __init__(self, keys: Keys) -> None:
        self._aes: dict[bytes, Aes] = {}
        self._index: dict[bytes | tuple[object, bytes], _Entry] = {}
        self._entries: list[_Entry] = []
        self._addresses: dict[int, _Address] = {}
        self._joins = Joins(keys, self._key)
        self._dirty: list[_Address] = []
        self._changed: dict[int, None] = {}
        self._names = {d.dev_eui: d.name for d in reversed(keys.devices) if d.dev_eui and d.name}
        self.frames = 0
        for given in keys.sessions:
            app = self._key(given.app_s_key) if given.app_s_key else None
            self._address(given.dev_addr).sessions.append(_Session(self._key(given.nwk_s_key), app, given))

    def __repr__(self) -> str:
        return f"Sessions({len(self._entries)} frames)"

    def _key(self, key: bytes) -> Aes:
        found = self._aes.get(key)
        if found is None:
            found = self._aes[key] = Aes(key)
        return found

    def _address(self, dev_addr: int) -> _Address:
        found = self._addresses.get(dev_addr)
        if found is None:
            found = self._addresses[dev_addr] = _Address()
        return found

    # Taking in

    def add(self, frame: Frame) -> int:
        """Take a frame in; equal frames get one token. Never raises for what a frame holds."""
        self.frames += 1
        plain = frame.network is None and not frame.reason
        key = frame.data if plain else (frame.network or frame.reason, frame.data)
        entry = self._index.get(key)
        if entry is not None:
            entry.count += 1
            if frame.time_us and (not entry.time_us or frame.time_us < entry.time_us):
                self._came_earlier(entry, frame.time_us)
            return entry.n
        entry = self._index[key] = _Entry(len(self._entries), frame)
        self._entries.append(entry)
        if not plain:
            return entry.n
        try:
            parsed = phy.parse(frame.data)
        except phy.BadFrame as e:
            entry.reason = str(e.args[0])
            return entry.n
        if type(parsed) is phy.Data:
            address = self._address(parsed.dev_addr)
            address.entries.append(entry)
            if not self._try(address, entry, parsed):
                address.failed[entry.n] = entry
        elif type(parsed) is phy.JoinRequest:
            self._pair(self._joins.add_request(entry.n, entry.data, entry.time_us, parsed), entry.n)
        elif type(parsed) is phy.JoinAccept:
            self._pair(self._joins.add_accept(entry.n, entry.data, entry.time_us), entry.n)
        return entry.n

    def add_all(self, frames: Iterable[Frame]) -> list[int]:
        """The tokens of many frames."""
        return [self.add(frame) for frame in frames]

    def _came_earlier(self, entry: _Entry, time_us: int) -> None:
        entry.time_us = time_us
        join = self._joins.get(entry.n)
        if join is not None:
            self._pair(self._joins.move(join, time_us))
            if join.clear is not None:
                self._soil_crowded(join.clear.dev_addr)
            return
        parsed = entry.parsed()
        if type(parsed) is phy.Data:
            self._soil_crowded(parsed.dev_addr)

    # Joins

    def _pair(self, accepts: list[Join], own: int = -1) -> None:
        """Work out some accepts anew. own: the frame that is being added, of which nothing was told yet."""
        for accept in accepts:
            old = accept.pairs
            if not self._joins.pair(accept):
                continue
            if accept.n != own:
                self._changed[accept.n] = None
            if accept.clear is not None:
                self._replace(self._address(accept.clear.dev_addr), accept, old)

    def _replace(self, address: _Address, accept: Join, old: dict[bytes, Derived]) -> None:
        """Give an address the sessions of an accept in the place of what it gave before."""
        before = {s: s.whose() for s in address.sessions}
        for nwk in old.keys() - accept.pairs.keys():
            session = address.find(nwk)
            assert session is not None
            del session.joined[accept.n]
            if not session.joined and session.given is None:
                address.sessions.remove(session)
        for nwk, derived in accept.pairs.items():
            session = address.find(nwk)
            if session is None:
                session = _Session(Aes(nwk), Aes(derived.app))
                address.sessions.append(session)
            session.joined[accept.n] = (accept, derived)
        self._note(address, before)
        if address.crowded or not before.keys() <= set(address.sessions):
            self._soil(address)
            return
        for session in [s for s in address.sessions if s not in before]:
            for entry in list(address.failed.values()):
                if entry.session is None and entry.fits_again(session, session.counters[entry.way].order):
                    self._accept(address, entry, session)

    def _note(self, address: _Address, before: dict[_Session, tuple[bytes, str]]) -> None:
        """Note the frames of which something else is told now, although their session is the same, or none."""
        for session in address.sessions:
            if before.get(session, session.whose()) != session.whose():
                self._changed.update((e.n, None) for e in address.entries if e.session is session)
        if bool(before) != bool(address.sessions):
            self._changed.update(dict.fromkeys(address.failed))

    # Data frames

    def _try(self, address: _Address, entry: _Entry, parsed: phy.Data) -> bool:
        way = parsed.mtype & 1
        for session in address.candidates(entry):
            if entry.fits(parsed, session, session.counters[way].order):
                self._accept(address, entry, session)
                return True
        return False

    def _accept(self, address: _Address, entry: _Entry, session: _Session) -> None:
        """A frame is found to be of a session; so may be others, now that numbers near its own are tried."""
        entry.session = session
        if address.sessions[0] is not session:
            address.sessions.remove(session)
            address.sessions.insert(0, session)
        if entry.n in address.failed:
            self._opens(address, entry)
        fresh = session.counters[entry.way].open_near(entry.fcnt)
        work = [(entry.way, fresh)] if fresh else []
        while work and address.failed:
            way, fresh = work.pop()
            for other in list(address.failed.values()):
                if other.way != way or session not in address.candidates(other):
                    continue
                if other.fits_again(session, sorted(fresh)):
                    other.session = session
                    self._opens(address, other)
                    more = session.counters[way].open_near(other.fcnt)
                    if more:
                        work.append((way, more))

    def _opens(self, address: _Address, entry: _Entry) -> None:
        self._changed[entry.n] = None
        del address.failed[entry.n]

    def _soil_crowded(self, dev_addr: int) -> None:
        address = self._address(dev_addr)
        if address.crowded:
            self._soil(address)

    def _soil(self, address: _Address) -> None:
        if not address.dirty:
            address.dirty = True
            self._dirty.append(address)

    def settle(self) -> None:
        """Look anew at the addresses that lost a candidate; after that, order has no say."""
        while self._dirty:
            address = self._dirty.pop()
            address.dirty = False
            before = [(e.session, e.fcnt) for e in address.entries]
            noted = dict(self._changed)
            for session in address.sessions:
                session.reset()
            for entry in address.entries:
                entry.session = None
            address.failed = {e.n: e for e in address.entries}
            for entry in address.entries:
                parsed = entry.parsed()
                if entry.session is None and type(parsed) is phy.Data:
                    self._try(address, entry, parsed)
            self._changed = noted
            for entry, old in zip(address.entries, before, strict=True):
                if (entry.session, entry.fcnt) != old:
                    self._changed[entry.n] = None

    # Giving out

    def changed(self) -> list[int]:
        """Tokens of earlier frames of which more, or else, may be known than when they were added or told here."""
        self.settle()
        found = sorted(self._changed)
        self._changed.clear()
        return found

    def opened(self, token: int) -> Opened:
        """What is known by now of the frame that got this token."""
        if self._dirty:
            self.settle()
        entry = self._entries[token]
        parsed = entry.parsed()
        if type(parsed) is phy.Data:
            return self._opened_data(entry, parsed)
        if entry.network is not None and not entry.reason:
            return self._told(entry, entry.network)
        if parsed is None:
            return Opened(reason=entry.reason)
        mtype = phy.MTYPES[parsed.mtype]
        join = self._joins.get(token)
        if isinstance(parsed, phy.JoinRequest):
            assert join is not None
            mic = "good" if join.app else "bad" if join.bad else "unchecked"
            name = join.name or self._names.get(parsed.dev_eui, "")
            return Opened(mtype, phy.UP, mic, dev_eui=parsed.dev_eui, name=name, join=parsed)
        if isinstance(parsed, phy.JoinAccept):
            if join is None or join.app is None or join.clear is None:
                return Opened(mtype, phy.DOWN)
            whose = join.devices[0] if len(join.devices) == 1 else b""
            name = self._names.get(whose, "")
            return Opened(mtype, phy.DOWN, "good", join.clear.dev_addr, whose, name, join=join.clear)
        if isinstance(parsed, phy.Rejoin):
            name = self._names.get(parsed.dev_eui, "")
            return Opened(mtype, phy.UP, dev_eui=parsed.dev_eui, name=name, join=parsed)
        assert isinstance(parsed, phy.Proprietary)
        return Opened(mtype, payload=parsed.body)

    def _opened_data(self, entry: _Entry, parsed: phy.Data) -> Opened:
        way, fport, session = parsed.mtype & 1, parsed.fport, entry.session
        commands: Sequence[mac.Command] = mac.parse(parsed.fopts, way) if parsed.fopts else ()
        mtype = phy.MTYPES[parsed.mtype]
        flags = phy.FLAGS[way][parsed.fctrl >> 4]
        if session is None:
            mic = "bad" if self._addresses[parsed.dev_addr].sessions else "unchecked"
            return Opened(mtype, way, mic, parsed.dev_addr, b"", "", None, fport, flags, commands)
        payload = None
        key = session.nwk if fport == 0 else session.app
        if fport is not None and key is not None:
            payload = crypto.crypt(key, way, parsed.dev_addr, entry.fcnt, parsed.body)
            if fport == 0:
                commands = mac.parse(payload, way)
        dev_eui, name = session.whose()
        name = name or self._names.get(dev_eui, "")
        return Opened(
            mtype, way, "good", parsed.dev_addr, dev_eui, name, entry.fcnt, fport, flags, commands, payload
        )

    def _told(self, entry: _Entry, told: Network) -> Opened:
        mtype = phy.MTYPES[phy.CONFIRMED_UP if told.confirmed else phy.UNCONFIRMED_UP]
        return Opened(
            mtype,
            phy.UP,
            "network",
            told.dev_addr,
            told.dev_eui,
            self._names.get(told.dev_eui, ""),
            told.fcnt,
            told.fport,
            mac_commands=mac.parse(entry.data, phy.UP) if told.fport == 0 else (),
            payload=entry.data,
        )

    def clear(self, token: int) -> bytes | None:
        """A join accept in clear, with its MIC and without MHDR; None where no key opens it."""
        join = self._joins.get(token)
        if join is None or join.request is not None or join.app is None:
            return None
        return crypto.open_join_accept(join.app, join.data)

    def tried(self, token: int) -> list[tuple[bytes, str, list[int]]]:
        """DevEUI, name and counters of the sessions that a data frame is, or was, tried under."""
        entry = self._entries[token]
        parsed = entry.parsed()
        if not isinstance(parsed, phy.Data):
            return []
        found = self._addresses[parsed.dev_addr].candidates(entry)
        way = parsed.direction
        return [(*s.whose(), [band << 16 | parsed.fcnt for band in s.counters[way].order]) for s in found]

    def count(self, token: int) -> int:
        """How often a frame was added."""
        return self._entries[token].count

    def joined(self) -> list[Given]:
        """The sessions that follow from joins and that a frame was verified with, for a keys file."""
        self.settle()
        found: dict[tuple[int, bytes], Given] = {}
        for entry in self._entries:
            session = entry.session
            if session is None or session.given is not None:
                continue
            addr = int.from_bytes(entry.data[1:5], "little")
            dev_eui, name = session.whose()
            app = session.app.key if session.app else b""
            given = Given(addr, session.nwk.key, app, dev_eui, name)
            given = found.setdefault((given.dev_addr, given.nwk_s_key), given)
            up, down = (counter.top for counter in session.counters)
            found[given.dev_addr, given.nwk_s_key] = replace(given, fcnt_up=up, fcnt_down=down)
        return [found[k] for k in sorted(found)]

    def summary(self) -> dict[str, Any]:
        """Counts for a report: frames, distinct ones, and those by what became of their MIC."""
        self.settle()
        mics: dict[str, int] = {}
        for entry in self._entries:
            opened = self.opened(entry.n)
            word = opened.reason or opened.mic
            mics[word] = mics.get(word, 0) + 1
        return {"frames": self.frames, "distinct": len(self._entries), "found": dict(sorted(mics.items()))}
