"""DALI on the wire: frames, half bits, backward frames from edges, dimming curves, memory bank values.

Frames are those that python-dali makes, levels those that makers print for IEC 62386-102; bank contents and
what they mean are published examples; the curve is computed here from its definition.
"""

import math

from firmware.protocols import dali
from firmware.protocols.dali_banks import decode, last

# Target, level or None, opcode -> frame.
DIRECT = ((5, 100, 0x0A64), (127, 254, 0xFEFE), (64 + 3, 170, 0x86AA))
COMMANDS = (
    (5, 0x00, 0x0B00),
    (127, 0x00, 0xFF00),
    (64 + 3, 0x05, 0x8705),
    (5, 0x90, 0x0B90),
    (5, 0xA0, 0x0BA0),
    (5, 0x12, 0x0B12),
    (5, 0xC5, 0x0BC5),
    (5, 0x2E, 0x0B2E),
    (5, 0x2D, 0x0B2D),
    (5, 0x2C, 0x0B2C),
    (126, 0x96, 0xFD96),
)
SPECIALS = ((0xC3, 202, 0xC3CA), (0xA3, 4, 0xA304), (0xC1, 6, 0xC106), (0xA5, 0, 0xA500), (0xA7, 0, 0xA700))


def test_frames():
    for target, level, frame in DIRECT:
        assert target << 9 | level == frame
    for target, op, frame in COMMANDS:
        assert dali.command(target, op) == frame
    for op, data, frame in SPECIALS:
        assert dali.special(op, data) == frame
    assert dali.special(0xA9) == 0xA900 and dali.special(0xA1) == 0xA100


def wave(text):
    """Run lengths of 'L1 H1 L1 H2'; they must alternate and begin low."""
    parts = text.split()
    assert [p[0] for p in parts] == ["LH"[i & 1] for i in range(len(parts))]
    return [int(p[1:]) for p in parts]


def test_half_bits():
    off = wave("L1 H1 " * 8 + "L1 H2 " + "L1 H1 " * 7 + "L1")
    assert dali.runs(0xFF00) == off and sum(off) == 34
    full = wave("L1 H1 " * 7 + "L1 H2 L2 H1 " + "L1 H1 " * 5 + "L1 H2 L1")
    assert dali.runs(0xFEFE) == full and sum(full) == 34
    answer = wave("L1 H1 L1 H1 L1 H2 L1 H1 L1 H1 L2 H2 L1 H1 L1")
    assert dali.runs(0xC4, 8) == answer and sum(answer) == 18


def test_a_whole_frame_is_34_half_bits_and_ends_with_the_stop_condition():
    for frame in range(0, 0x10000, 97):
        us = dali.pulses(frame)
        assert not len(us) & 1
        assert min(us) == 417 and us[-1] >= 2450 and max(us[:-1]) in (417, 833)
        # 17 bits of 833.3 us, and each half bit alone is a third of a microsecond long.
        assert abs(sum(us) - 14167 - 2450) <= 12


def backward_wave(value, half):
    """Ideal edges of an answer in us, from the falling edge of the start bit to the last rising one."""
    edges = [0.0]
    level, t = 0, 0.0
    bits = [1] + [value >> i & 1 for i in range(7, -1, -1)]
    for bit in bits:
        for new in (1 - bit, bit):
            if new != level:
                edges.append(t)
                level = new
            t += half
    if not level:
        edges.append(t)
    return edges


def runs_of(edges):
    us = [round(b) - round(a) for a, b in zip(edges, edges[1:])]
    return us, len(us)


def test_every_answer_at_every_clock_speed_is_read():
    for value in range(256):
        for half in (335, 367, 400, 416.67, 440, 467, 498):
            assert dali.backward(*runs_of(backward_wave(value, half))) == value


class Random:
    """The same on every interpreter."""

    def __init__(self):
        self.x = 1

    def __call__(self, n):
        self.x = (self.x * 3877 + 29573) % 139968
        return self.x * n // 139968


def test_an_edge_seen_late_never_makes_another_byte():
    random = Random()
    seen = 0
    for value in range(256):
        for gap in (60, 120, 200, 300, 450):
            edges = backward_wave(value, 367 + random(100))
            # Whatever happens while nobody looks is seen at the end of it.
            begin = random(int(edges[-1]) + gap) - gap
            late = [max(e, begin + gap) if begin <= e < begin + gap else e for e in edges]
            got = dali.backward(*runs_of([e + random(20) for e in late]))
            assert got in (value, -1), (value, gap, begin)
            seen += got == value
    assert seen > 900


def test_what_is_no_answer():
    good, n = runs_of(backward_wave(0x5A, 416.67))
    assert dali.backward(good, n) == 0x5A
    assert dali.backward(good, 0) == -1
    for cut in range(1, n):
        assert dali.backward(good, n - cut) == -1, cut
    # A run lost in another one, an edge too many, twice the speed, a forward frame.
    for i in range(n - 2):
        merged = good[:i] + [good[i] + good[i + 1] + good[i + 2]] + good[i + 3 :]
        assert dali.backward(merged, len(merged)) == -1, i
        split = good[:i] + [good[i] // 3, good[i] // 3, good[i] // 3] + good[i + 1 :]
        assert dali.backward(split, len(split)) == -1, i
    assert dali.backward([u // 2 for u in good], n) == -1
    assert dali.backward([u * 2 for u in good], n) == -1
    assert dali.backward([417] * 33, 33) == -1


def test_logarithmic_curve_is_the_printed_table():
    # Level, per cent of light: IEC 62386-102 table, as makers print it.
    rows = "1 0.100 60 0.501 85 0.991 126 3.035 144 4.962 170 10.09 195 19.97 210 30.08 220 39.52 229 50.53"
    rows = (rows + " 235 59.53 241 70.12 246 80.38 250 89.65 254 100").split()
    for i in range(0, len(rows), 2):
        assert abs(dali.to_permille(int(rows[i])) - float(rows[i + 1]) * 10) <= 0.51, rows[i]
    assert dali.to_permille(0) == 0
    assert [dali.to_level(p) for p in (250, 500, 750)] == [203, 229, 243]
    assert [dali.to_level(p) for p in (0, 1, 2, 999, 1000)] == [0, 1, 26, 254, 254]


def test_logarithmic_curve_everywhere():
    for level in range(1, 255):
        exact = 10 ** ((level - 1) * 3 / 253)
        # Float32 puts some a hair beside the half.
        assert abs(dali.to_permille(level) - exact) <= 0.501, level
    before = 0
    for permille in range(1, 1001):
        level = dali.to_level(permille)
        assert abs(level - (1 + 253 / 3 * math.log(permille) / math.log(10))) <= 0.5002, permille
        assert level >= before
        before = level
    for permille in (1, 5, 10, 50, 100, 200, 500, 800, 1000):
        back = dali.to_permille(dali.to_level(permille))
        assert abs(back - permille) <= permille * 14 // 1000 + 1


def test_linear_curve():
    assert [dali.to_permille(n, True) for n in (0, 1, 127, 254)] == [0, 4, 500, 1000]
    assert [dali.to_level(p, True) for p in (0, 1, 250, 500, 750, 1000)] == [0, 1, 64, 127, 191, 254]
    for n in range(255):
        assert dali.to_level(dali.to_permille(n, True), True) == n


def bank(text):
    return bytes(int(x, 16) for x in text.split())


def test_energy_banks():
    b202 = bank("0f 00 ff 01 03 00 00 00 00 00 0a 00 00 00 03 e8")
    assert decode(202, b202) == {4: 10000000, 11: 1000000}  # 10 kWh, 1000 W
    b203 = bank("0f 00 ff 01 ff 00 00 00 00 03 e8 fe 00 00 03 e8")
    assert decode(203, b203) == {4: 100000, 11: 10000}  # 100.0 VAh, 10.00 VA
    b204 = bank("0f 00 ff 01 fa 00 00 00 01 86 a0 01 00 00 03 e8")
    assert decode(204, b204) == {4: 100, 11: 10000000}  # 0.1 Wh, 10 kW


def test_nothing_is_made_of_what_is_no_value():
    # Scale of no meaning; TMASK.
    assert decode(202, bank("0f 00 ff 01 aa 00 00 00 00 00 0a 00 ff ff ff fe")) == {4: None, 11: None}
    assert decode(202, bank("0f 00 ff 01 00 ff ff ff ff ff ff 06 ff ff ff fd")) == {
        4: None,
        11: 4294967293 * 10**9,
    }
    for scale, good in ((0x06, True), (0x07, False), (0xFA, True), (0xF9, False)):
        value = decode(202, bank("0f 00 ff 01 00 00 00 00 00 00 00 %x 00 0f 42 40" % scale))[11]
        assert (value is not None) == good, scale
    b205 = bytes([0x1C, 0, 255, 1]) + b"\xff" * 25
    assert set(decode(205, b205).values()) == {None}
    assert set(decode(206, bytes([0x20, 0, 255, 1]) + b"\xff" * 29).values()) == {None}
    assert set(decode(207, bytes([7, 0, 255, 1]) + b"\xff" * 4).values()) == {None}
    for n in (0xFE, 0xFF, 101):
        assert decode(205, bytes([0x1C, 0, 255, 1] + [0] * 10 + [n] + [0] * 13 + [n]))[0x0E] is None
    # Shorter than its standard: what lies beyond the end is absent.
    assert decode(206, bytes(8)) == {4: 0}


def test_diagnostics():
    b205 = bank(
        "1c 00 ff 01 00 00 0e 10 00 00 0a 08 fc 32 5a 01 01 01 0a 00 0b 00 02 00 06 00 02 5a 55",
    )
    got = decode(205, b205)
    assert [got[k] for k in (4, 8, 0x0B, 0x0D, 0x0E, 0x0F, 0x11, 0x12)] == [3600, 10, 2300, 50, 90, 1, 1, 10]
    assert [got[k] for k in (0x1B, 0x1C)] == [30, 85]
    b206 = bank(
        "20 00 ff 01 00 01 2c 00 01 f4 00 00 03 e8 00 00 0b b8 02 58 02 bc 00 0c 00 0f 00 17 01 2d 00 43 a0"
    )
    got = decode(206, b206)
    assert [got[k] for k in (4, 7, 0x0A, 0x0E, 0x12, 0x14, 0x16)] == [300, 500, 1000, 3000, 600, 700, 0]
    assert [got[k] for k in (0x1C, 0x1D, 0x20)] == [1, 45, 100]
    assert decode(207, bank("07 00 ff 01 32 5a 13 88")) == {4: 50, 5: 30, 6: 5000}


def test_luminaire():
    data = bank("77 00 ff 02 dc 37 67 0d 11 00 00 00 00 00 01 86 a1 00 03 19 2b 00 28 00 05 00 c6 01 08")
    data += bank("00 17 70 46 0b b8 03") + b"RAL 7016\0" + b"\xff" * 15 + b"rue Haute 12\0" + b"\xff" * 47
    assert len(data) == 0x78 and last(1) == 0x77
    got = decode(1, data)
    assert got[3] == 3144845561105 and got[9] == 100001 and got[0x11] == 3
    assert [got[k] for k in (0x13, 0x14, 0x15, 0x17, 0x19, 0x1B)] == [25, 43, 40, 5, 198, 264]
    assert [got[k] for k in (0x1D, 0x20, 0x21, 0x23)] == [6000, 70, 3000, 3]
    assert got[0x24] == "RAL 7016" and got[0x3C] == "rue Haute 12"
    odd = data[:0x13] + bytes([105, 60, 255, 255, 0, 0, 0, 89, 1, 0xE1, 255, 255, 255, 105, 255, 254, 255])
    odd = decode(1, odd + b"caf\xe9\0" + data[0x29:])
    assert [odd[k] for k in (0x13, 0x14, 0x15, 0x19, 0x1B, 0x1D, 0x20, 0x21, 0x23, 0x24)] == [None] * 10
    assert odd[0x17] == 0
    assert decode(1, data[:0x14] + b"\0" + data[0x15:])[0x14] is None  # there is no week 0


def test_banks_that_are_not_known():
    assert last(2) == 0 and last(0) == 0
    assert [last(b) for b in (202, 205, 206, 207)] == [0x0F, 0x1C, 0x20, 7]
