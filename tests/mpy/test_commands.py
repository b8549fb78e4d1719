"""Which commands are obeyed, which refused, and what is answered (TRUST 4, 19)."""

from firmware.clock import EPOCH_GPS
from firmware.drivers.errors import ChipError
from firmware.protocols import reasons
from firmware.protocols.cbor import WireError, decode, encode
from firmware.protocols.opener import Opener
from firmware.protocols.seal import Sealer
from firmware.roles.commands import CK_ACK, IDENTIFY, LIGHT, PLAN, RAISE, REBOOT, RESUME, TIME, WANT, Commands
from tests.mpy.support import raises
from tests.mpy.test_storage import PowerCut
from tests.mpy.test_uplink import Board

ALLOWED = (LIGHT, RESUME, IDENTIFY, REBOOT)


class Site:
    """A board that has sent its hello, and the commander with id 1 and counter `next`."""

    def __init__(self, profile="mac0", commanders=(1,), allowed=ALLOWED):
        self.board = Board(profile)
        self.commanders = commanders
        self.allowed = allowed
        self.host = Sealer(self.board.record, 1)
        self.next = 0
        self.who = 1
        self.ran = []
        self.outcome = None
        self.begin()

    def begin(self):
        board = self.board
        self.commands = Commands(
            Opener(board.record),
            board.counters,
            board.uplink,
            board.clock,
            self.execute,
            self.allowed,
            self.commanders,
        )
        self.hello = board.hello()
        board.send()

    def reboot(self):
        self.board.boot()
        self.begin()

    def execute(self, op, args):
        self.ran.append((op, args))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def frame(self, op, *args, ref=None, ttl=600, cseq=None):
        if cseq is None:
            self.next += 1
            cseq = self.who << 28 | self.next
        items = [self.hello if ref is None else ref, ttl, op]
        items.extend(args)
        return self.host.seal(2, cseq, encode(items))

    def give(self, frame):
        return self.commands.handle(2, frame)

    def say(self, op, *args, **how):
        return self.give(self.frame(op, *args, **how))

    def results(self):
        """[commander and counter, outcome's name, last] of each result that goes out."""
        opener = Opener(self.board.record)
        found = []
        for port, frame, seq in self.board.send():
            if port == 12:
                cseq, outcome, last = decode(opener.open(3, 0, seq, frame))
                found.append((cseq & 0xFFFFFFF, reasons.name(outcome), last & 0xFFFFFFF))
        return found

    def wait(self, ms):
        self.board.ticks.ms += ms


def test_obeyed_and_answered():
    for profile in ("mac0", "encrypt0", "sign1"):
        site = Site(profile)
        assert site.say(LIGHT, 30, 3600, 10) == "done"
        assert site.say(RESUME) == "done"
        assert site.ran == [(LIGHT, [30, 3600, 10]), (RESUME, [])]
        assert site.results() == [(1, "done", 1), (2, "done", 2)]


def test_what_the_executor_says_is_answered():
    site = Site()
    for outcome in ("local_override", "interlock"):
        site.outcome = outcome
        assert site.say(LIGHT, 0, 60, 0) == outcome
    assert [r[1] for r in site.results()] == ["local_override", "interlock"]
    assert site.commands.refused == 2 and site.commands.done == 0


def test_a_kind_that_fails_is_answered_and_its_number_is_used_up():
    for error, name in (
        (IndexError("kind"), "failed"),
        (ChipError("dali", "no_answer"), "failed"),
        (MemoryError(), "no_memory"),
        (WireError("guard"), "guard"),
    ):
        site = Site()
        site.outcome = error
        frame = site.frame(LIGHT, 0, 60, 0)
        assert site.give(frame) == name
        assert site.give(frame) == "stale" and len(site.ran) == 1
        site.outcome = None
        assert site.say(RESUME) == "done"
        assert site.results() == [(1, name, 1), (1, "stale", 1), (2, "done", 2)]


def test_exact_replay_is_stale_and_answered_once_a_minute():
    site = Site()
    frame = site.frame(LIGHT, 30, 3600, 10)
    assert site.give(frame) == "done"
    assert site.results() == [(1, "done", 1)]
    for _ in range(100):
        assert site.give(frame) == "stale"
    assert site.results() == [(1, "stale", 1)]
    site.wait(59000)
    site.give(frame)
    assert site.results() == []
    site.wait(1100)
    site.give(frame)
    assert site.results() == [(1, "stale", 1)]
    assert len(site.ran) == 1


def test_command_replay_after_device_reboot():
    site = Site()
    frame = site.frame(LIGHT, 30, 3600, 10)
    site.give(frame)
    site.reboot()
    assert site.give(frame) == "stale" and len(site.ran) == 1


def test_withheld_command_after_reboot():
    # Jammed, recorded, delivered the next evening: the uplink it refers to is of another boot.
    site = Site()
    withheld = site.frame(LIGHT, 0, 3600, 10)
    site.reboot()
    assert site.give(withheld) == "stale" and site.ran == []
    assert site.results() == [(1, "stale", 0)]
    assert site.board.counters.last_command(1) == 0, "a refused number is not used up"


def test_withheld_command_in_the_same_boot():
    site = Site()
    age = site.board.uplink.age_ms(site.hello)
    withheld = site.frame(LIGHT, 0, 3600, 10, ttl=600)
    site.wait(600000 - age)
    good = site.frame(RESUME, ttl=600)
    assert site.give(good) == "done"
    site.next = 1
    withheld = site.frame(LIGHT, 0, 3600, 10, ttl=600, cseq=0x10000003)
    site.wait(1)
    assert site.give(withheld) == "stale" and site.ran == [(RESUME, [])]


def test_ttl_bounds():
    site = Site()
    for ttl in (0, 3601, 0xFFFFFFFF):
        assert site.say(RESUME, ttl=ttl) == "ttl"
    assert site.say(RESUME, ttl=3600) == "done"
    assert site.say(RESUME, ttl=1) == "done"
    site.wait(1001)
    assert site.say(RESUME, ttl=1) == "stale"


def test_reference_must_be_an_uplink_of_this_boot():
    site = Site()
    for ref in (site.hello + 1, site.hello + 64, 0xFFFFFFFF):
        assert site.say(RESUME, ref=ref) == "stale"
    site.board.put(40)
    site.board.send()
    assert site.say(RESUME) == "stale", "only the last 16 are remembered"
    site.wait(60000)
    assert site.say(RESUME, ref=site.board.ring.last[0]) == "done"


def test_reorder():
    site = Site()
    first, second = site.frame(LIGHT, 100, 60, 0), site.frame(LIGHT, 0, 60, 0)
    assert site.give(second) == "done"
    assert site.give(first) == "stale" and site.ran == [(LIGHT, [0, 60, 0])]
    assert site.results() == [(2, "done", 2), (1, "stale", 2)]


def test_restored_backup_sends_command():
    # The host's counter fell back: the answer tells it where the device stands.
    site = Site()
    for _ in range(5):
        site.say(RESUME)
    site.results()
    site.next = 0
    assert site.say(RESUME) == "stale"
    assert site.results() == [(1, "stale", 5)]
    site.next += 4096
    assert site.say(RESUME) == "done"


def test_absolute_expiry_needs_quality_2():
    site = Site()
    clock = site.board.clock
    now = EPOCH_GPS + 20000000
    assert site.say(RESUME, ref=0, ttl=now + 60) == "no_clock"
    clock.set(1, now)
    assert site.say(RESUME, ref=0, ttl=now + 60) == "no_clock"
    clock.set(2, now)
    assert site.say(RESUME, ref=0, ttl=now + 60) == "done"
    assert site.say(RESUME, ref=0, ttl=now + 86400) == "done"
    assert site.say(RESUME, ref=0, ttl=now + 86401) == "ttl"
    assert site.say(RESUME, ref=0, ttl=now - 1) == "expired"
    assert site.say(RESUME, ref=0, ttl=600) == "expired"
    site.wait(1)
    assert site.say(RESUME, ref=0, ttl=now) == "expired"
    assert len(site.ran) == 2


def test_ops_outside_the_list():
    site = Site(allowed=(LIGHT,))
    assert site.say(LIGHT, 50, 60, 0) == "done"
    for op, args in ((RESUME, ()), (REBOOT, ()), (IDENTIFY, (5,)), (RAISE, (80, 60))):
        assert site.say(op, *args) == "op_refused"
    for op in (0, 13, 255, 0xFFFFFFFF):
        assert site.say(op) == "op_unknown"
    assert len(site.ran) == 1
    assert [r[1] for r in site.results()] == ["done"] + ["op_refused"] * 4 + ["op_unknown"] * 4


def test_recordings_of_refused_commands_cost_no_airtime():
    for op, args in ((REBOOT, ()), (13, ())):
        site = Site(allowed=(LIGHT,))
        frame = site.frame(op, *args)
        assert site.give(frame) in ("op_refused", "op_unknown")
        assert len(site.results()) == 1
        for _ in range(20):
            assert site.give(frame) == "stale"
        assert len(site.results()) == 1, "stale is answered once a minute"


def test_arguments_are_checked_for_each_op():
    site = Site(allowed=ALLOWED + (RAISE,))
    for op, args in (
        (LIGHT, ()),
        (LIGHT, (101, 60, 0)),
        (LIGHT, (50, 86401, 0)),
        (LIGHT, (50, 60, 3601)),
        (LIGHT, (50, 60)),
        (LIGHT, (50, 60, 0, 86401)),
        (LIGHT, (50, 60, 0, 0, 3601)),
        (LIGHT, (50, 60, 0, -1)),
        (LIGHT, (50, 60, 0, None, 0)),
        (LIGHT, (50, 60, 0, 0, 0, 0)),
        (LIGHT, (-1, 60, 0)),
        (LIGHT, (True, 60, 0)),
        (LIGHT, (b"\x32", 60, 0)),
        (LIGHT, ([], 60, 0)),
        (RESUME, (1,)),
        (REBOOT, (0,)),
        (IDENTIFY, ()),
        (IDENTIFY, (3601,)),
        (RAISE, (100, 901)),
        (RAISE, (101, 60)),
        (RAISE, (100, 60, 0)),
        (TIME, (5,)),
        (TIME, (5, 1000)),
        (TIME, (1 << 32, 0)),
        (CK_ACK, ()),
        (CK_ACK, (0xFFFF0001,)),
        (WANT, ()),
        (WANT, (5,)),
        (WANT, (5, 6)),
        (WANT, (5, [1, 2, 3, 4, 5, 6, 7, 8, 9])),
        (WANT, (5, [-1])),
        (WANT, (5, [[1]])),
        (WANT, (5, [True])),
        (WANT, ([5], [5])),
        (WANT, (5, [1], [2])),
    ):
        assert site.say(op, *args) == "op_args", (op, args)
        site.board.send()
        site.hello = site.board.ring.last[0]
    assert site.ran == [] and site.board.counters.last_command(1) == 0
    for op, args in (
        (LIGHT, (100, 86400, 3600)),
        (LIGHT, (0, 0, 0)),
        (LIGHT, (50, 60, 0, 86400)),
        (LIGHT, (50, 60, 0, 0, 3600)),
        (IDENTIFY, (3600,)),
        (RAISE, (100, 900)),
    ):
        assert site.say(op, *args) == "done"
        assert site.ran[-1] == (op, list(args)), "what was left out stays so"


def test_authentic_payloads_of_any_other_shape():
    site = Site()
    for payload in (
        b"",
        b"\xff",
        b"\x80",
        encode(5),
        encode([1, 2]),
        encode({1: 2}),
        encode([1, 600, 3]) + b"\0",
    ):
        site.next += 1
        assert site.give(site.host.seal(2, 0x10000000 | site.next, payload)) == "op_args"
    for items in ((b"", 600, RESUME), (1, None, RESUME), (1, 600, b"x"), (1, 600, True), (-1, 600, RESUME)):
        site.next += 1
        assert site.give(site.host.seal(2, 0x10000000 | site.next, encode(items))) == "op_args"
    assert site.ran == []


# TIME, WANT, CK_ACK


def echo(site, delay_ms):
    """TIME that arrives `delay_ms` after the end of the hello."""
    site.wait(delay_ms - site.board.uplink.age_ms(site.hello))
    return site.say(TIME, EPOCH_GPS + 28000000, 500)


def test_time_delayed_119_and_121_seconds():
    site = Site()
    assert echo(site, 119000) == "done"
    clock = site.board.clock
    assert clock.quality == 2 and clock.wire_ms() == 28000119500 and clock.uncertainty_ms == 119000
    assert site.results() == [], "answered only when refused"
    site = Site()
    assert echo(site, 121000) == "time_too_old" and site.board.clock.quality == 0
    assert site.results() == [(1, "time_too_old", 1)]


def test_time_without_a_reference():
    site = Site()
    site.board.clock.set(2, EPOCH_GPS + 5)
    assert site.say(TIME, EPOCH_GPS + 28000000, 0, ref=0, ttl=EPOCH_GPS + 60) == "time_too_old"
    assert site.board.clock.wire() == 5


def test_time_sync_forged_and_replayed():
    site = Site()
    frame = site.frame(TIME, EPOCH_GPS + 28000000, 500)
    bad = frame[:-1] + bytes((frame[-1] ^ 1,))
    assert raises(WireError, site.give, bad).args[0] == "bad_tag"
    assert site.give(frame) == "done"
    before = site.board.clock.wire_ms()
    site.wait(50000)
    assert site.give(frame) == "stale"
    assert site.board.clock.wire_ms() == before + 50000


def test_quality_2_step_back_is_kept_across_boots():
    site = Site()
    site.board.clock.set(2, EPOCH_GPS + 99000000)
    assert site.say(TIME, EPOCH_GPS + 28000000, 0) == "done"
    assert site.board.counters.generation == 1
    site.reboot()
    assert site.board.counters.generation == 1


def test_a_time_that_no_node_can_count_is_refused_by_name():
    for gps_s in (0, EPOCH_GPS - 1, EPOCH_GPS + (1 << 30), EPOCH_GPS + (1 << 31), 0xFFFFFFFF):
        site = Site()
        assert site.say(TIME, gps_s, 0) == "op_args", gps_s
        assert site.board.clock.quality == 0
        assert site.results() == [(1, "op_args", 1 if gps_s < EPOCH_GPS else 0)]
    for gps_s in (EPOCH_GPS, EPOCH_GPS + (1 << 30) - 1):
        site = Site()
        assert site.say(TIME, gps_s, 0) == "done" and site.board.clock.quality == 2


def test_want_and_ck_ack_through_commands():
    site = Site()
    sent = {site.hello: site.board.air[0]}
    for _ in range(3):
        site.board.put(20)
        sent.update({f[2]: f for f in site.board.send()})
    site.hello = site.board.ring.last[0]
    k = next(s for s in sent if sent[s][0] == 11)
    assert site.say(WANT, k, [2, 3]) == "done"
    assert site.board.send() == [sent[2], sent[3]]
    assert site.say(WANT, k, []) == "done"
    assert site.board.send() == [sent[k]]
    assert site.say(CK_ACK, k) == "done"
    assert site.board.send() == [], "answered only when refused"
    assert site.say(WANT, k, [1 << 31]) == "forgotten"
    assert site.say(CK_ACK, 5) == "done", "covered by what was acknowledged"
    assert site.say(CK_ACK, 1 << 31) == "forgotten"
    assert [r[1] for r in site.results()] == ["forgotten", "forgotten"]


# Verification


def test_foreign_and_damaged_frames():
    site = Site()
    frame = site.frame(RESUME)
    for record in (dict(site.board.record, device=bytes(8)), dict(site.board.record, tenant=bytes(8))):
        foreign = Sealer(record, 1).seal(2, 0x10000001, b"\x83\x01\x02\x03")
        assert raises(WireError, site.give, foreign).args[0] == "bad_tag"
    other_epoch = Sealer(dict(site.board.record, epoch=2), 1).seal(2, 0x10000001, b"\x83\x01\x02\x03")
    assert raises(WireError, site.give, other_epoch).args[0] == "bad_tag"
    for end in range(len(frame)):
        raises(WireError, site.give, frame[:end])
    assert raises(WireError, site.commands.handle, 8, frame).args[0] == "wrong_port"
    assert raises(WireError, site.commands.handle, 4, frame).args[0] == "wrong_port"
    assert raises(WireError, site.commands.handle, -1, frame).args[0] == "wrong_port"
    assert site.ran == []
    site.wait(60000)
    assert site.give(frame) == "done"


def test_uplink_reflected_as_downlink():
    site = Site()
    site.board.put()
    for _, frame, _ in site.board.send():
        assert raises(WireError, site.give, frame).args[0] in ("bad_tag", "rate")
    assert site.ran == []


def test_reader_keyring_cannot_command():
    # A reader holds mac-up, enc-up and leaf: under none of them is a command accepted.
    for profile, labels in (("mac0", ("mac-up", "leaf")), ("encrypt0", ("enc-up",))):
        site = Site(profile)
        for label in labels:
            record = dict(site.board.record)
            record["keys"] = dict(record["keys"])
            record["keys"]["mac-down"] = record["keys"]["enc-down"] = record["keys"][label]
            forged = Sealer(record, 1).seal(2, 0x10000001, encode([site.hello, 600, RESUME]))
            assert raises(WireError, site.give, forged).args[0] == "bad_tag"
        assert site.ran == []


def test_failed_verifications_are_capped_never_locked_out():
    site = Site()
    good = site.frame(RESUME)
    bad = good[:-1] + bytes((good[-1] ^ 1,))
    reasons_seen = [raises(WireError, site.give, bad).args[0] for _ in range(20)]
    # One commander near 0: the number itself and one turn later, so two trials each.
    assert site.commands.failures == 8
    assert reasons_seen == ["bad_tag"] * 4 + ["rate"] * 16
    assert raises(WireError, site.give, good).args[0] == "rate"
    site.wait(4999)
    assert raises(WireError, site.give, bad).args[0] == "rate"
    site.wait(1)
    assert site.give(good) == "done"
    site.wait(5000 * 100)
    for _ in range(20):
        raises(WireError, site.give, bad)
    assert site.commands.failures == 16, "no more than eight are saved up"


def test_good_commands_cost_no_trials():
    site = Site()
    for _ in range(50):
        assert site.say(RESUME) == "done"
    assert site.commands.failures == 0


def test_fourth_commander_is_found_within_the_burst():
    site = Site(commanders=(1, 2, 3, 15))
    site.who = 15
    for i in range(2):
        assert site.say(RESUME) == "done"
        assert site.commands.failures == 3 * (i + 1)
    assert raises(WireError, site.say, RESUME) and site.commands.failures == 8
    site.wait(5000 * 8)
    assert site.say(RESUME) == "done"
    assert site.board.counters.last_command(15) == 0xF0000004


def test_commander_that_is_not_configured():
    site = Site(commanders=(1, 2))
    site.who = 3
    assert raises(WireError, site.say, RESUME).args[0] == "bad_tag"
    site = Site(commanders=(1, 2, 3, 4, 5))
    site.who = 5
    assert raises(WireError, site.say, RESUME).args[0] == "bad_tag", "four at most"


def test_commanders_do_not_share_numbers():
    site = Site(commanders=(1, 2))
    site.next = 500
    assert site.say(RESUME) == "done"
    site.who, site.next = 2, 0
    assert site.say(RESUME) == "done"


def test_piv_wrap_of_a_commander():
    site = Site()
    for low in (0xFFFFFE, 0xFFFFFF, 0x1000000, 0x1000001):
        assert site.say(RESUME, cseq=0x10000000 | low) == "done"
        site.wait(30000)
    assert site.board.counters.last_command(1) == 0x11000001


# Persistence


def test_number_is_persisted_before_it_runs():
    site = Site()
    seen = []

    def look(op, args):
        site.board.counters._copies.read()
        from tests.mpy.test_storage import copies

        seen.append(int.from_bytes(copies(site.board.flash).read()[20:24], "big"))

    site.commands._execute = look
    assert site.say(RESUME) == "done" and seen == [0x10000001]


def test_power_cut_before_or_after_persisting_never_runs_twice():
    for cut in range(4):
        for keep in range(5):
            site = Site()
            frame = site.frame(RESUME)
            site.board.flash.power(cut, keep)
            try:
                site.give(frame)
            except PowerCut:
                pass
            ran = len(site.ran)
            site.board.flash.power()
            site.commands._counters = site.board.counters
            site.reboot()
            again = site.frame(RESUME, ref=site.hello, cseq=0x10000001)
            try:
                site.give(again)
            except WireError:
                pass
            assert ran <= 1 and len(site.ran) <= 1, (cut, keep)


def test_command_that_cannot_be_persisted_is_not_obeyed():
    for broken in ("nvs", "file"):
        site = Site()
        site.board.flash.broken = (broken,)
        assert site.say(RESUME) == "storage" and site.ran == []


def test_recover_answers_go_to_their_own():
    site = Site()
    seen = []
    site.commands._recover = seen.append
    site.commands.handle(4, b"frame")
    assert seen == [b"frame"]


def test_a_part_of_a_plan_is_bytes_and_the_answer_carries_what_the_kind_says():
    site = Site(allowed=(PLAN,))
    assert site.say(PLAN, 0, 5, b"ab") == "done"
    site.outcome = b"hashhash"
    assert site.say(PLAN, 2, 5, b"cde") == "done"
    assert site.ran == [(PLAN, [0, 5, b"ab"]), (PLAN, [2, 5, b"cde"])]
    opener = Opener(site.board.record)
    found = [decode(opener.open(3, 0, seq, f)) for port, f, seq in site.board.send() if port == 12]
    assert [f[1:2] + f[3:] for f in found] == [[0], [0, b"hashhash"]]
    for args in ((), (0, 5), (0, 5, 6), (0, 5, "ab"), (0, -1, b""), (0, 65536, b""), (0, 5, b"", 0)):
        assert site.say(PLAN, *args) == "op_args", args
