"""Joins that were heard: which request an accept answers, and the session keys that follow (TS001-1.0.4 6.2).

Candidates for an accept are the AppKeys of requests with a good MIC within WINDOW_US of it; where one of the
two has no time, they count as near. Its sessions are those with its MAX_REQUESTS requests nearest to DELAY_US
before it: a device asks again with another DevNonce until it is answered, and the accept does not say which
request it means. Devices that share an AppKey stay candidates together. All of this looks at bytes and at the
earliest time of each, so the order in which joins become known has no say.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass, field

from host_tools.lorawan import crypto, phy
from host_tools.lorawan.crypto import Aes
from host_tools.lorawan.keysfile import Device, Keys

WINDOW_US = 60_000_000
# JOIN_ACCEPT_DELAY1 and 2 of RP002 are 5 s and 6 s after the end of the request.
DELAY_US = 5_500_000
MAX_REQUESTS = 8


@dataclass(frozen=True, slots=True)
class Derived:
    """Keys of a session that an accept may have begun."""

    nwk: bytes = field(repr=False)
    app: bytes = field(repr=False)
    dev_eui: bytes
    name: str


@dataclass(eq=False, slots=True)
class Join:
    """A request or an accept. app: the AppKey that its MIC fits; bad: a key is at hand, and none fits.

    Of an accept: clear, the devices whose requests it may answer, and by NwkSKey what it may have begun.
    """

    n: int
    data: bytes
    time_us: int
    request: phy.JoinRequest | None = None
    app: Aes | None = None
    name: str = ""
    bad: bool = False
    clear: phy.Accept | None = None
    devices: tuple[bytes, ...] = ()
    pairs: dict[bytes, Derived] = field(default_factory=dict)


class _ByTime:
    """Joins by time, those without one apart."""

    def __init__(self) -> None:
        self._timed: list[tuple[int, int, Join]] = []
        self._timeless: dict[int, Join] = {}

    def add(self, join: Join) -> None:
        if join.time_us:
            insort(self._timed, (join.time_us, join.n, join))
        else:
            self._timeless[join.n] = join

    def move(self, join: Join, time_us: int) -> None:
        if join.time_us:
            del self._timed[bisect_left(self._timed, (join.time_us, join.n))]
        else:
            del self._timeless[join.n]
        join.time_us = time_us
        self.add(join)

    def near(self, time_us: int) -> list[Join]:
        low, high = 0, len(self._timed)
        if time_us:
            low = bisect_left(self._timed, (time_us - WINDOW_US,))
            high = bisect_right(self._timed, (time_us + WINDOW_US + 1,))
        return [row[2] for row in self._timed[low:high]] + list(self._timeless.values())


class Joins:
    """All joins heard. What each call returns are the accepts whose `pairs` may be others than before."""

    def __init__(self, keys: Keys, key: Callable[[bytes], Aes]) -> None:
        self._key = key
        self._requests, self._accepts = _ByTime(), _ByTime()
        self._all: dict[int, Join] = {}
        self._devices: dict[tuple[bytes, bytes], list[Device]] = {}
        for device in keys.devices:
            self._devices.setdefault((device.dev_eui, device.join_eui), []).append(device)

    def get(self, n: int) -> Join | None:
        return self._all.get(n)

    def add_request(self, n: int, data: bytes, time_us: int, request: phy.JoinRequest) -> list[Join]:
        join = self._all[n] = Join(n, data, time_us, request)
        self._verify(join, request)
        app = join.app
        if app is None:
            return []
        self._requests.add(join)
        # An accept whose key is known has no use for a request under another.
        return [
            accept
            for accept in self._accepts.near(time_us)
            if accept.app is app or (accept.app is None and crypto.open_join_accept(app, accept.data))
        ]

    def add_accept(self, n: int, data: bytes, time_us: int) -> list[Join]:
        join = self._all[n] = Join(n, data, time_us)
        self._accepts.add(join)
        return [join]

    def move(self, join: Join, time_us: int) -> list[Join]:
        """An earlier reception became known."""
        if join.request is None:
            self._accepts.move(join, time_us)
            return [join]
        if join.app is None:
            return []
        about = self._accepts.near(join.time_us)
        self._requests.move(join, time_us)
        return list({a.n: a for a in about + self._accepts.near(time_us)}.values())

    def _verify(self, join: Join, request: phy.JoinRequest) -> None:
        """Find the AppKey of a request: a key for this device there, for it anywhere, for anyone there."""
        dev_eui, join_eui = request.dev_eui, request.join_eui
        for ids in ((dev_eui, join_eui), (dev_eui, b""), (b"", join_eui)):
            for device in self._devices.get(ids, ()):
                app = self._key(device.app_key)
                join.bad = crypto.join_mic(app, join.data[:-4]) != request.mic
                if not join.bad:
                    join.app, join.name = app, device.name
                    return

    def pair(self, accept: Join) -> bool:
        """Find from scratch whose an accept is and what it may have begun; True where that is new."""
        near = self._requests.near(accept.time_us)
        near.sort(key=lambda request: _distance(request, accept))
        before = accept.app, accept.devices, accept.pairs
        accept.app = self._app_of(accept, near, accept.app)
        mine = [r for r in near if r.app is accept.app][:MAX_REQUESTS] if accept.app is not None else []
        accept.pairs = {}
        for request in mine:
            derived = _derive(accept, request)
            accept.pairs.setdefault(derived.nwk, derived)
        accept.devices = tuple(sorted({r.request.dev_eui for r in mine if r.request is not None}))
        return before != (accept.app, accept.devices, accept.pairs)

    def _app_of(self, accept: Join, near: list[Join], known: Aes | None) -> Aes | None:
        tried: set[int] = set()
        for request in near:
            app = request.app
            assert app is not None
            if app is known:
                return app
            if known is not None or id(app) in tried:
                continue
            tried.add(id(app))
            clear = crypto.open_join_accept(app, accept.data)
            if clear is not None:
                accept.clear = phy.accept(clear)
                return app
        return None


def _derive(accept: Join, join: Join) -> Derived:
    request, clear = join.request, accept.clear
    assert request is not None and clear is not None and accept.app is not None
    nwk, app = crypto.session_keys(accept.app, clear.join_nonce, clear.net_id, request.dev_nonce)
    return Derived(nwk, app, request.dev_eui, join.name)


def _distance(request: Join, accept: Join) -> tuple[int, bytes]:
    """How far a request is from where the one that an accept answers should be."""
    if not request.time_us or not accept.time_us:
        return WINDOW_US, request.data
    return abs(accept.time_us - request.time_us - DELAY_US), request.data
