"""Link frames. The downlink vector's MAC is Python's hmac over the bytes written out here."""

from binascii import unhexlify

from firmware.protocols import link
from firmware.protocols.cbor import WireError
from tests.mpy.support import raises

K_LINK = unhexlify("8feac95da46d40e23426e9b200407988")
DOWN = unhexlify("e08cff1234beef626f6479bbf95ce1")


def test_uplink():
    frame = link.pack_up(10, 0xFF, 0x1234, 0xBEEF, b"body")
    assert frame == unhexlify("e00aff1234beef") + b"body"
    assert link.parse(frame) == (False, 10, 0xFF, 0x1234, 0xBEEF, b"body")
    assert link.parse(bytearray(frame)) == (False, 10, 0xFF, 0x1234, 0xBEEF, b"body")
    assert not link.check_down(frame, K_LINK)


def test_downlink():
    assert link.pack_down(12, 0xFF, 0x1234, 0xBEEF, b"body", K_LINK) == DOWN
    assert link.parse(DOWN) == (True, 12, 0xFF, 0x1234, 0xBEEF, b"body")
    assert link.check_down(DOWN, K_LINK)
    assert link.check_down(bytearray(DOWN), K_LINK)


def test_every_flipped_bit_of_a_downlink():
    for bit in range(len(DOWN) * 8):
        bad = bytearray(DOWN)
        bad[bit // 8] ^= 1 << bit % 8
        assert not link.check_down(bytes(bad), K_LINK), bit
    assert not link.check_down(DOWN, K_LINK[:-1] + b"\0")


def test_an_uplink_reflected_as_downlink_has_no_mac():
    up = link.pack_up(12, 0xFF, 0x1234, 1, b"bodybody")
    reflected = up[:1] + bytes((up[1] | 0x80,)) + up[2:]
    assert link.parse(reflected)[0] and not link.check_down(reflected, K_LINK)


def test_what_is_no_link_frame():
    for frame, reason in (
        (b"", "not_link"),
        (b"\x40" + bytes(20), "not_link"),
        (b"\xe0", "truncated"),
        (DOWN[:6], "truncated"),
        (DOWN[:10], "truncated"),
        (b"\xe0" + bytes(255), "too_long"),
    ):
        assert raises(WireError, link.parse, frame).args[0] == reason
        assert not link.check_down(frame, K_LINK)
    assert link.parse(DOWN[:11])[5] == b"" and link.parse(b"\xe0" + bytes(254))[5] == bytes(248)


def test_bounds():
    assert len(link.pack_up(10, 0, 0, 0, bytes(248))) == 255
    assert raises(WireError, link.pack_up, 10, 0, 0, 0, bytes(249)).args[0] == "too_long"
    assert len(link.pack_down(12, 0, 0, 0, bytes(244), K_LINK)) == 255
    assert raises(WireError, link.pack_down, 12, 0, 0, 0, bytes(245), K_LINK).args[0] == "too_long"
    for args in ((128, 0, 0, 0), (-1, 0, 0, 0), (10, 256, 0, 0), (10, 0, 65536, 0), (10, 0, 0, 65536)):
        assert raises(WireError, link.pack_up, *args, b"").args[0] == "out_of_range"
        assert raises(WireError, link.pack_down, *args, b"", K_LINK).args[0] == "out_of_range"
