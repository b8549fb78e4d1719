"""The encoder's borders: ranges, kinds, privacy, room; and that the table keeps its own rules."""

from array import array

from firmware.protocols import codec, schema
from firmware.protocols.cbor import WireError
from firmware.protocols.schema import common
from tests.mpy.support import raises

SHAPES = ("gauge", "counter", "aggregate", "state", "occupancy", "actuator", "vector", "bytes", "reserved")


def encode(number, clear=False, room=255, size=255, **fields):
    message = schema.message(number)
    values = codec.blank(message)
    for name in fields:
        values[schema.index(number, name)] = fields[name]
    buf = bytearray(size)
    return bytes(buf[: codec.encode_into(buf, 0, message, values, clear, room)])


def refused(number, clear=False, room=255, size=255, **fields):
    try:
        encode(number, clear, room, size, **fields)
    except WireError as e:
        return e.args[0]
    raise AssertionError("nothing refused")


def all_rows():
    for number in schema.TYPES:
        for row in schema.rows(number):
            yield number, row


def test_the_table_keeps_its_rules():
    names = []
    for number, (name, module) in schema.TYPES.items():
        names.append(name)
        assert name == module
        rows = schema.rows(number)
        keys = [row[0] for row in rows if row[0] != schema.PAD]
        # The place of a value is its key: no holes.
        assert keys == list(range(len(keys))) and len(keys) <= schema.PAD
        assert len({row[1] for row in rows}) == len(rows)
        for row in rows:
            _, _, shape, _, decimals, lo, hi, privacy = row[:8]
            assert len(row) == 10 and shape in SHAPES
            assert 0 <= decimals <= 3 and lo <= hi and privacy in (0, 1)
            if shape != "bytes":
                assert lo <= 0, "the encoder keeps -lo"
            # Above 2^30 a number is a heap object on the chip: the one exception is a sequence number.
            assert hi < 1 << 30 or row[1] == "last_seq"
            assert lo > -(1 << 30)
        kind = schema.load(module)
        for field, words in kind.STATES:
            row = rows[schema.index(number, field)]
            assert row[2] == "state" and row[5] == 0 and row[6] == len(words) - 1
        bits = [row[0] for row in kind.ALARMS]
        assert bits == list(range(len(bits))) and len(bits) <= 16
    assert len(set(names)) == len(names)
    assert not [n for n, _ in common.RESERVED_TYPES if n in schema.TYPES]
    assert raises(KeyError, schema.message, 7)
    assert raises(KeyError, schema.index, 2, "fill")


def test_ranges():
    for number, row in all_rows():
        key, name, shape, _, _, lo, hi = row[:7]
        if key == schema.PAD or shape == "reserved":
            continue
        if shape == "bytes":
            good, bad = (bytes(lo), bytes(hi)), (bytes(lo - 1), bytes(hi + 1))
        elif shape == "vector":
            good = ([lo], [hi], [lo, hi], [0] * 24)
            bad = ([lo - 1], [hi + 1], [lo, hi + 1, lo], [lo, lo - 1], [], [0] * 25, [1 << 40])
        else:
            good = (lo, hi, 0)
            bad = [lo - 1, hi + 1, -(1 << 30), -(1 << 64), 1 << 62]
            for bits in (32, 64):
                bad += [(1 << bits) + hi, hi - (1 << bits), (1 << bits) + lo, lo - (1 << bits)]
            bad = [value for value in bad if not lo <= value <= hi]
        for value in good:
            found = codec.decode(encode(number, **{name: value}))
            assert found == (number, {name: value}), (number, name, value)
        for value in bad:
            assert refused(number, **{name: value}) == "out_of_range", (number, name, value)


def test_a_number_cut_to_a_machine_word_is_not_taken_for_a_small_one():
    for bits in (32, 64):
        for sign in (1, -1):
            far = sign * (1 << bits)
            assert refused(5, level=far + 75) == "out_of_range"
            assert refused(2, temperature=far - 75) == "out_of_range"


def test_other_kinds_of_value():
    for value in (1.5, "5", b"5", [5], {}, object()):
        assert refused(2, level=value) == "wrong_shape", value
    for value in (5, 1.5, None.__class__):
        assert refused(3, distances=value) == "wrong_shape", value
    for value in ([1.5], ["a"], [None]):
        assert refused(3, distances=value) in ("wrong_shape", "out_of_range"), value
    assert refused(1, bundle=8) == "wrong_shape"
    assert encode(2, level=0) == b"\x82\x02\xa1\x04\x00"


def test_number_of_values():
    message = schema.message(2)
    buf = bytearray(99)
    for values in (
        [],
        [1],
        codec.blank(message)[:-1],
        codec.blank(message) + [None],
        codec.blank(message) + [1],
    ):
        assert raises(WireError, codec.encode_into, buf, 0, message, values).args[0] == "wrong_shape"


def test_reserved_keys_take_no_value():
    # No message has one today: hello's last field, as if it were.
    message = array("i", schema.message(1))
    at = schema.HEADER + 3 * 12
    message[at] = message[at] & ~0xF00 | 3 << 8
    values = codec.blank(message)
    values[12] = 1
    assert raises(WireError, codec.encode_into, bytearray(99), 0, message, values).args[0] == "unknown_key"


def test_one_time():
    assert refused(2, time=1, time_unconfirmed=1) == "time_twice"
    for number in schema.TYPES:
        assert codec.decode(encode(number, time=5))[1] == {"time": 5}
        assert codec.decode(encode(number, time_unconfirmed=0))[1] == {"time_unconfirmed": 0}


def test_class_1_never_in_clear():
    seen = 0
    for number, row in all_rows():
        key, name, shape, _, _, lo, _, privacy = row[:8]
        if key == schema.PAD or shape == "reserved":
            continue
        value = [0] if shape == "vector" else bytes(lo) if shape == "bytes" else 0
        if privacy:
            seen += 1
            assert refused(number, True, **{name: value}) == "class1_in_clear"
            encode(number, False, **{name: value})
        else:
            assert encode(number, True, **{name: value}) == encode(number, False, **{name: value})
    assert seen == 3


def test_room_for_the_longest_is_asked_for():
    for number in (2, 5):
        message = schema.message(number)
        longest = codec.max_len(message)
        values = codec.blank(message)
        values[4] = 1
        for size in range(longest + 3):
            buf = bytearray(size)
            if size < longest + 2:
                assert raises(WireError, codec.encode_into, buf, 2, message, values).args[0] == "too_long"
            else:
                assert codec.encode_into(buf, 2, message, values) == 7
        for start in (-1, -300):
            assert (
                raises(WireError, codec.encode_into, bytearray(255), start, message, values).args[0]
                == "too_long"
            )


def test_special_fields_need_their_room_too():
    # All upper bounds: what is asked for at the start is passed by the fields behind last_seq and bundle.
    names = ("time", "supply", "alarms", "boot_count", "reset_cause", "last_seq", "protection", "overwritten")
    fields = {name: schema.rows(1)[schema.index(1, name)][6] for name in names}
    fields["bundle"] = b"12345678"
    fields["clock_generation"] = 65535
    fields["recovered"] = 1
    for size in range(57):
        assert refused(1, False, 255, size, **fields) == "too_long", size
    assert len(encode(1, False, 255, 57, **fields)) == 57
    samples = [0, 20000] * 12
    # 76 bytes, and what the integers behind it may take: hatch, compactor, cycles and so on, 20.
    for size in range(38, 120):
        if size < 96:
            assert refused(3, False, 255, size, distances=samples) == "too_long", size
        else:
            assert len(encode(3, False, 255, size, distances=samples)) == 76


def test_fixed_length_whatever_the_values():
    for room in (26, 51, 63):
        for value in (0, 23, 24, 65535, 65536, 1073741823):
            assert len(encode(4, False, room, index=value)) == 26
            assert len(encode(4, False, room, index=value, time=1, leak_state=2)) == 26
    lengths = set()
    for hours in range(1, 25):
        for value in (0, 3, 30):
            data = encode(
                4, False, 64, time=28000128, hourly=[value, 0] * (hours // 2) + [value] * (hours % 2)
            )
            lengths.add(len(data))
    assert lengths == {64}
    assert refused(4, False, 25, leak_state=0) == "too_long"
    # 24 bytes of content leave room for an empty pad, which takes two; 25 and 26 do not.
    content = {"time": 28000128, "supply": 3600, "index": 123456, "leak_state": 1}
    assert len(encode(4, False, 26, flow=255, **content)) == 26
    assert refused(4, False, 26, flow=256, **content) == "too_long"
    assert refused(4, False, 26, flow=255, alarms=0, **content) == "too_long"
    assert refused(4, False, 64, hourly=[0, 100000] * 12) == "too_long"
    assert refused(4, False, 64, 63, leak_state=0) == "too_long"


def test_every_pad_from_2_bytes_up():
    # Content grows by one byte at a time: the pad passes the gap at 26 and the longer head from 27 on.
    seen = set()
    for count in range(1, 25):
        for step in (0, 1):
            hours = [30 if step else 3] + [30 if step else 3] * (count - 1)
            data = encode(4, False, 64, time=28000128, index=70000, hourly=hours)
            assert len(data) == 64
            content = 3 + 6 + 6 + 2 + (2 if step else 1) + count - 1 + (1 if count > 23 else 0)
            seen.add(64 - content)
            assert codec.decode(data)[1]["hourly"] == hours
    assert 26 in seen and 25 in seen and 27 in seen


def test_max_len_is_reached():
    assert [codec.max_len(schema.message(n)) for n in sorted(schema.TYPES)] == [67, 56, 133, 64, 37, 83]


def test_decode_takes_other_buffers():
    data = encode(5, level=75)
    assert codec.decode(bytearray(data)) == codec.decode(memoryview(data)) == (5, {"level": 75})
