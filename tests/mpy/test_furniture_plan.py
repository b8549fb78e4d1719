"""The compact lighting plan: what a node refuses, and by which name."""

from firmware.furniture import night, plan
from firmware.furniture.dates import days
from firmware.protocols.cbor import encode
from tests.mpy.plans import PARIS, date, table
from tests.mpy.support import raises


def refusal(compact):
    return raises(plan.WireError, plan.check, compact).args[0]


def good():
    program = [
        [[1, 0, 0], [3, 0, 0, 9, 9, 2000, 5000]],
        [[79200, 40, 10]],
        [[0, 1, 2, 50, 0]],
        [[-1, -1, 1, 80, 60, 0, 0]],
    ]
    rules = [[0, 33, 415, [2, 1, 32]], [0, 33, 415, [1, [[1, 5]]]]]
    return [1, PARIS, 474736, -5542, 12, 100, 0, [program], rules, 0]


def changed(*path_and_value):
    """The refusal of a good plan with one place changed."""
    path, value = path_and_value[:-1], path_and_value[-1]
    it = good()
    assert plan.check(encode(it)) == it
    place = it
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return refusal(encode(it))


def test_refusals_of_the_frame():
    assert refusal(b"") == refusal(b"\x80") == refusal(b"\x00") == refusal(encode([1] * 9)) == "plan_format"
    assert refusal(encode([1]) + b"\x00") == refusal(bytes(700)) == "plan_format"
    assert refusal(bytes(701)) == "plan_limit"
    for place, value in ((0, 2), (0, True), (4, 1), (4, 6), (4, None), (5, 101), (5, -1), (6, 2), (6, b"")):
        assert changed(place, value) == "plan_format", place
    for value in ("CET", 0, "CET-1CEST,J60,J300"):
        assert changed(1, value) == "plan_zone"
    for place, value in ((2, 899001), (2, -899001), (3, 1800001), (3, -1800001), (2, "N")):
        assert changed(place, value) == "plan_position"


def test_refusals_of_programs():
    for path, value in (
        ((7,), 0),
        ((7, 0), [[], []]),
        ((7, 0), 5),
        ((7, 0, 0), 5),
        ((7, 0, 0, 0), []),
        ((7, 0, 0, 0), [4, 0, 0]),
        ((7, 0, 0, 0), [0, 0, 86400]),
        ((7, 0, 0, 0), [1, 0]),
        ((7, 0, 0, 0), [1, -721, 0]),
        ((7, 0, 0, 0), [2, 50, 20]),
        ((7, 0, 0, 0), [2, 30, 50]),
        ((7, 0, 0, 1), [3, 0, 0, -1, 0, 1, 2]),
        ((7, 0, 1), [[5, 1, 0], [5, 2, 0]]),
        ((7, 0, 1), [[79200, 1, 0], [64800, 2, 0]]),
        ((7, 0, 1), [[18000, 1, 0], [79200, 2, 0]]),
        ((7, 0, 1, 0), [79200, 101, 0]),
        ((7, 0, 1, 0), [79200, 50, 65536]),
        ((7, 0, 1, 0), [-1, 50, 0]),
        ((7, 0, 1, 0), [79200, True, 0]),
        ((7, 0, 2, 0), [0, 2, 0, 0, 0]),
        ((7, 0, 2, 0), [0, 1, 6, 0, 0]),
        ((7, 0, 3, 0), [-1, 5, 1, 80, 60, 0, 0]),
        ((7, 0, 3, 0), [-2, -2, 1, 80, 60, 0, 0]),
    ):
        assert changed(*(path + (value,))) == "plan_program", (path, value)


def test_refusals_of_the_calendar():
    for path, value in (
        ((8,), 0),
        ((9,), 1),
        ((9,), -2),
        ((9,), None),
        ((8, 0), [0, 33, 415]),
        ((8, 0, 0), 1),
        ((8, 0, 0), -1),
        ((8, 0, 1), 0),
        ((8, 0, 1), 32),
        ((8, 0, 1), date(2, 30)),
        ((8, 0, 1), date(4, 31)),
        ((8, 0, 1), date(13, 1)),
        ((8, 0, 2), date(0, 1)),
        ((8, 0, 2), True),
        ((8, 0), [0, date(2, 28, 2027), date(2, 29, 2027), 0]),
        ((8, 0), [0, date(2, 28, 2027), date(2, 27, 2027), 0]),
        ((8, 0, 3), 1),
        ((8, 0, 3), []),
        ((8, 0, 3), [3, 1, 1]),
        ((8, 0, 3), [2, 0, 1]),
        ((8, 0, 3), [2, 128, 1]),
        ((8, 0, 3), [2, 1, 64]),
        ((8, 1, 3, 1), [[1]]),
        ((8, 1, 3, 1), [[6, 5]]),
        ((8, 1, 3, 1), [[date(12, 1), date(1, 5)]]),
        ((8, 1, 3, 1), [[date(1, 1), 31]]),
        ((8, 1, 3, 1), [[0, 5]]),
        ((8, 1, 3, 1), [[5, date(1, 5)]]),
        ((8, 1, 3, 1), [[date(2, 30), date(3, 5)]]),
        ((8, 1, 3, 1), 5),
    ):
        assert changed(*(path + (value,))) == "plan_calendar", (path, value)


def test_limits_are_declared_and_kept():
    one = [[], [[79200, 40, 10]], [], []]
    for path, value in (
        ((7,), [one] * 9),
        ((7, 0, 0), [[1, 0, 0]] * 5),
        ((7, 0, 1), [[43200 + n, 1, 0] for n in range(13)]),
        ((7, 0, 2), [[0, 1, 2, 50, 0]] * 5),
        ((7, 0, 3), [[-1, -1, 1, 80, 60, 0, 0]] * 5),
        ((8,), [[0, 33, 415, 0]] * 25),
        ((8, 1, 3, 1), [[1, 1]] * 9),
    ):
        assert changed(*(path + (value,))) == "plan_limit", path
    plan.check(encode([1, PARIS, 0, 0, 12, 100, 0, [one] * 8, [[7, 33, 415, 0]] * 24, 7]))


def test_any_bytes_are_refused_by_name():
    compact = encode(good())
    summer = days(2026, 6, 1) * 86400 + 79200
    seed = 3
    taken = 0
    for _ in range(1500):
        bad = bytearray(compact)
        seed = (seed * 1103 + 12345) % 1048573
        bad[seed % len(bad)] = seed // 997 % 256
        try:
            plan.check(bytes(bad))
        except plan.WireError as e:
            assert e.args[0].startswith("plan_")
            continue
        taken += 1
        # What is accepted can be carried out.
        it = night.Night(table(bytes(bad), summer))
        assert it.begin <= summer < it.end
        assert 0 <= it.at(summer)[0] <= 100
    assert taken
