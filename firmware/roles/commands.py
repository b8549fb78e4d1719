"""Commands: which authentic command is fresh, and what is answered (TRUST 4, 19). Unicast, purpose 2.

Nothing that fails verification has any effect but a count. A command's number is persisted before it runs.
"""

from firmware.protocols import reasons
from firmware.protocols.cbor import WireError, decode, encode
from firmware.protocols.compat import const
from firmware.protocols.cose import parse
from firmware.protocols.seqspace import candidates

TIME = const(1)
LIGHT = const(2)
RESUME = const(3)
IDENTIFY = const(4)
REBOOT = const(5)
WANT = const(6)
CK_ACK = const(7)
RAISE = const(8)
PLAN = const(9)
SHED = const(10)
HATCH = const(11)
COMPACT = const(12)

# Failed verifications: one each 5 s, eight in a burst (TRUST 19).
_BURST = const(8)
_EACH_MS = const(5000)
# Recordings of old commands verify, so a stale one is answered once a minute: else a replay costs airtime.
_STALE_MS = const(60000)
_TTL_S = const(3600)
_DAY_S = const(86400)
# GPS seconds of the wire's 0 and of its 2^30, in 2060: beyond them nothing of a node counts.
_EPOCH_GPS = const(1451260818)
_LAST_GPS = const(_EPOCH_GPS + 0x3FFFFFFF)
_SEQ_MAX = const(0xFFFF0000)

# Highest value of each argument; level in %, times in s. The lowest is 0. Of LIGHT the last two may be absent.
_ARGS = {
    LIGHT: (100, _DAY_S, 3600, _DAY_S, 3600),
    RESUME: (),
    IDENTIFY: (3600,),
    REBOOT: (),
    CK_ACK: (_SEQ_MAX,),
    RAISE: (100, 900),
    PLAN: (0xFFFF, 0xFFFF),
    SHED: (100, _DAY_S, 3600),
    HATCH: (1, 3600),
    COMPACT: (600,),
    TIME: (_LAST_GPS, 999),
}
_SILENT = (TIME, WANT, CK_ACK)


class Commands:
    """opener: Opener of the device's record; execute(op, args): returns the name of an outcome, None for done
    or bytes for done that the result carries along; allowed: the ops of a kind and REBOOT that this device obeys;
    commanders: at most 4 ids of 0..15; recover(frame): takes a frame of purpose 4."""

    def __init__(self, opener, counters, uplink, clock, execute, allowed, commanders, recover=None):
        self._opener = opener
        self._counters = counters
        self._uplink = uplink
        self._clock = clock
        self._execute = execute
        self._allowed = allowed
        self._commanders = commanders[:4]
        self._recover = recover
        self._tokens = _BURST
        self._tokens_at = clock.now_ms()
        self._stale_at = -_STALE_MS
        self.failures = 0  # trials that did not verify
        self.refused = 0  # authentic commands that were not obeyed
        self.done = 0

    def handle(self, purpose, frame):
        """A frame that came down for a purpose. Returns the name of the outcome of an authentic command.

        WireError, with no effect but a count: wrong_port; what the frame is not; bad_tag when no number
        fits; rate when too many failed lately.
        """
        if purpose == 4 and self._recover:
            return self._recover(frame)
        if purpose != 2:
            raise WireError("wrong_port")
        cseq, payload = self._verify(frame)
        try:
            outcome = self._obey(cseq, payload)
        except WireError as e:
            outcome = e.args[0]
        if outcome == "done":
            self.done += 1
        else:
            self.refused += 1
        return outcome

    def _verify(self, frame):
        piv = parse(frame)[1]
        now = self._clock.now_ms()
        gained = (now - self._tokens_at) // _EACH_MS
        self._tokens += gained
        self._tokens_at += gained * _EACH_MS
        if self._tokens >= _BURST:
            self._tokens = _BURST
            self._tokens_at = now
        # Nearest numbers of every commander first: the fourth's command is not starved by the others' trials.
        for rank in (0, 1, 2):
            for who in self._commanders:
                trials = candidates(piv, self._counters.last_command(who) or who << 28)
                if rank >= len(trials) or trials[rank] >> 28 != who:
                    continue
                if self._tokens <= 0:
                    raise WireError("rate")
                try:
                    return trials[rank], self._opener.open(2, 1, trials[rank], frame)
                except WireError as e:
                    if e.args[0] != "bad_tag":
                        raise
                self._tokens -= 1
                self.failures += 1
        raise WireError("bad_tag")

    def _obey(self, cseq, payload):
        who = cseq >> 28
        silent = False
        more = ()
        try:
            # First: recordings of what is refused below verify, too.
            if cseq <= self._counters.last_command(who):
                raise WireError("stale")
            ref, ttl, op, args = _read(payload)
            silent = op in _SILENT
            self._check_fresh(ref, ttl)
            # A cut from here on loses this command; it never runs twice.
            self._counters.accept(cseq)
            if not silent and op not in self._allowed:
                raise WireError("op_refused" if op in _ARGS else "op_unknown")
            outcome = self._run(cseq, op, args, ref)
            if isinstance(outcome, bytes):
                more = (outcome,)
                outcome = "done"
        except WireError as e:
            outcome = e.args[0]
        if silent and outcome == "done":
            return outcome
        if outcome == "stale":
            now = self._clock.now_ms()
            if now - self._stale_at < _STALE_MS:
                return outcome
            self._stale_at = now
        answer = (cseq, reasons.number(outcome), self._counters.last_command(who)) + more
        self._uplink.put(encode(answer), 3)
        return outcome

    def _check_fresh(self, ref, ttl):
        if ref:
            if not 1 <= ttl <= _TTL_S:
                raise WireError("ttl")
            if not 0 <= self._uplink.age_ms(ref) <= ttl * 1000:
                raise WireError("stale")
            return
        clock = self._clock
        if clock.quality < 2:
            raise WireError("no_clock")
        left = clock.until_gps_ms(ttl)
        if left < 0:
            raise WireError("expired")
        if left > _DAY_S * 1000:
            raise WireError("ttl")

    def _run(self, cseq, op, args, ref):
        if op == TIME:
            return self._time(args, ref)
        if op == WANT:
            return self._uplink.want(cseq, args[0], args[1])
        if op == CK_ACK:
            return self._uplink.ck_ack(args[0])
        try:
            return self._execute(op, args) or "done"
        except WireError:
            raise
        except MemoryError:
            return "no_memory"
        except Exception as e:
            # Its number is used up: who sent it must hear of it, and the radio's task goes on.
            print("command:", op, repr(e))
            return "failed"

    def _time(self, args, ref):
        clock = self._clock
        counters = self._counters
        if args[0] < _EPOCH_GPS:
            raise WireError("op_args")
        # Without `ref` nothing tells how long the answer took.
        clock.echo(args[0], args[1], self._uplink.age_ms(ref))
        if clock.generation != counters.generation:
            counters.generation = clock.generation
            if not counters.save():
                raise WireError("storage")
        return "done"


def _uint(value):
    if type(value) is not int or not 0 <= value <= 0xFFFFFFFF:
        raise WireError("op_args")
    return value


def _read(payload):
    """(ref, ttl, op, args) of a command's payload; WireError op_args for any other shape."""
    try:
        items = decode(payload, 0, None, 2, 16)
    except WireError:
        raise WireError("op_args")
    if not isinstance(items, list) or len(items) < 3:
        raise WireError("op_args")
    wants = []
    if items[2] == WANT:
        wants = items.pop()
        if not isinstance(wants, list) or len(wants) > 8 or len(items) != 4:
            raise WireError("op_args")
    ref, ttl, op = [_uint(value) for value in items[:3]]
    part = items.pop() if items[2] == PLAN else b""
    args = [_uint(value) for value in items[3:]]
    if op == WANT:
        return ref, ttl, op, (args[0], [_uint(value) for value in wants])
    highest = _ARGS.get(op)
    if highest is None:
        return ref, ttl, op, args
    if not 0 <= len(highest) - len(args) <= (op == LIGHT) * 2:
        raise WireError("op_args")
    for i in range(len(args)):
        if args[i] > highest[i]:
            raise WireError("op_args")
    if op == PLAN:
        if not isinstance(part, bytes):
            raise WireError("op_args")
        return ref, ttl, op, [args[0], args[1], part]
    return ref, ttl, op, args
