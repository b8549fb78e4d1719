"""COSE structures against the working group's examples and our own byte budgets; what `parse` refuses."""

from firmware.protocols import cbor, cose
from firmware.protocols.cbor import WireError
from tests.mpy.support import data_dir, heap_locked, load_json, raises

TENANT = bytes.fromhex("0011223344556677")
DEVICE = bytes.fromhex("70b3d57ed0001234")
AAD = bytes.fromhex("89010411004800112233445566774870b3d57ed000123403001a000111eb")
SITE = bytes.fromhex("8205a5001a01ab3f8004184b0519019c06183f071880")

# External additional data (hex), as in the input of each example.
PASS = {
    "HMac-01": "",
    "HMac-enc-05": "",
    "mac-pass-01": "",
    "mac-pass-02": "ff00ee11dd22cc33bb44aa559966",
    "mac-pass-03": "",
    "sign-pass-01": "",
    "sign-pass-02": "11aa22bb33cc44dd55006699",
    "sign-pass-03": "",
    "ecdsa-sig-01": "",
    "eddsa-sig-01": "",
}
FAIL = [kind + "-fail-0" + n for kind in ("mac", "sign") for n in "123467"]
CONTENT = b"This is the content."


def refused(frame):
    return raises(WireError, cose.parse, frame).args[0]


def pack(payload, tag, kid=None, seq=70123):
    buf = bytearray(400)
    return bytes(buf[: cose.pack_into(buf, 0, seq, payload, tag, kid)])


def untagged(frame):
    """A frame of the examples without its CBOR tag (16, 17, 18, or 992 and 998 in three bytes)."""
    return frame[3:] if frame[0] == 0xD9 else frame[1:] if frame[0] >> 5 == 6 else frame


def protected_of(frame):
    """Its protected header: the byte string, shorter than 24, behind the head of the array.

    A map without entries counts as the empty string in the structures (RFC 9052 section 3).
    """
    whole = untagged(frame)
    assert 0x40 <= whole[1] <= 0x57
    found = whole[2 : 2 + (whole[1] & 31)]
    return b"" if found == b"\xa0" else found


def example(name):
    found = load_json(data_dir("cose") + "/" + name + ".json")
    return bytes.fromhex(found["output"]["cbor"]), found["intermediates"]


def test_working_group_examples():
    for name in PASS:
        frame, found = example(name)
        structure = cose.to_be_maced if "ToMac_hex" in found else cose.to_be_signed
        made = structure(bytes.fromhex(PASS[name]), CONTENT, protected_of(frame))
        assert made.hex().upper() == (found.get("ToMac_hex") or found.get("ToBeSign_hex")), name


def test_working_group_encryption_examples():
    for n in range(1, 9):
        frame, found = example("aes-ccm-enc-0%d" % n)
        assert cose.enc_structure(b"", protected_of(frame)).hex().upper() == found["AAD_hex"], n


def test_working_group_failures_are_refused():
    for name in FAIL:
        frame, _ = example(name)
        assert refused(frame) == "tag_not_allowed", name
        # Without the tag each is refused for naming its algorithm.
        assert refused(untagged(frame)) == "explicit_alg", name
    for name in PASS:
        frame, _ = example(name)
        assert refused(untagged(frame)) == "explicit_alg", name


def test_definition():
    found = cose.ext_aad(cose.ALG_HMAC, cose.MAC0, 0, TENANT, DEVICE, 3, 0, 70123)
    assert found == AAD and len(found) == 30
    assert cose.ext_aad(cose.ALG_ED25519, cose.SIGN1, 0, TENANT, DEVICE, 3, 0, 70123)[2:4] == b"\x32\x12"
    for tenant, device in ((TENANT[:7], DEVICE), (TENANT, DEVICE + b"\x00"), (b"", DEVICE)):
        assert raises(WireError, cose.ext_aad, 4, 17, 0, tenant, device, 3, 0, 1).args[0] == "out_of_range"
    longest = cose.ext_aad(-19, 18, 10, TENANT, DEVICE, (1 << 32) - 1, 1, (1 << 32) - 65536)
    assert len(longest) == 34 and cbor.decode(longest)[6] == (1 << 32) - 1


def test_byte_budgets():
    # DESIGN 2: 18, 17, 75 with the sequence number inside, one more where a length takes two bytes.
    for size in range(248):
        payload = bytes(size)
        step = 1 if size > 23 else 0
        assert len(pack(payload, bytes(8))) == size + 18 + step
        assert len(pack(payload, bytes(64))) == size + 75 + step
        assert len(pack(payload + bytes(8), b"")) == size + 17 + (1 if size > 15 else 0)
        assert len(pack(payload, bytes(8), b"\x01\x07")) == size + 22 + step
    assert len(pack(bytes(255), bytes(8))) == 274 and len(pack(bytes(256), bytes(8))) == 276
    assert len(pack(SITE, bytes(8))) == 40
    assert len(pack(SITE, bytes(64))) == 97
    checkpoint = cbor.encode([48, bytes(16)])
    assert len(pack(checkpoint, bytes(64))) == 95
    for n in (1, 24, 255):
        assert len(pack(cbor.encode([n, bytes(16)]), bytes(64))) <= 95
    # A frame of 95 bytes: two fragments where LoRaWAN carries 51 bytes, each 3 bytes of head.
    assert (95 + 47) // 48 == 2
    for command, size in (([200, 60, 3], 24), ([70120, 600, 3], 28), ([70120, 600, 2, 50, 7200, 10], 34)):
        assert len(pack(cbor.encode(command), bytes(8))) == size


def test_pack_writes_low_24_bits():
    for seq, piv in ((0, 0), (1, 1), (0xFFFFFF, 0xFFFFFF), (1 << 24, 0), ((1 << 32) - 65536, 0xFF0000)):
        for kid in (None, b"\x01", b"12345678"):
            assert cose.parse(pack(b"x", bytes(8), kid, seq)) == (cose.MAC0, piv, kid, b"x", bytes(8))


def test_pack_refuses():
    for size in (1, 4, 7, 9, 16, 32, 63, 65):
        assert raises(WireError, pack, b"x", bytes(size)).args[0] == "out_of_range"
    for kid in (b"", bytes(9)):
        assert raises(WireError, pack, b"x", bytes(8), kid).args[0] == "out_of_range"
    for tag, kid in ((b"", None), (bytes(8), None), (bytes(8), b"\x01\x07"), (bytes(64), None)):
        need = len(pack(SITE, tag, kid))
        for size in range(need):
            buf = bytearray(size)
            assert raises(WireError, cose.pack_into, buf, 0, 1, SITE, tag, kid).args[0] == "too_long"
        assert cose.pack_into(bytearray(need + 2), 2, 1, SITE, tag, kid) == need + 2


def test_parse_refuses_by_name():
    good = pack(SITE, bytes(range(8)))
    piv = "43000001"
    for text, why in (
        ("", "truncated"),
        ("00", "not_cose"),
        ("a0", "not_cose"),
        ("82 40a0", "not_cose"),
        ("80", "not_cose"),
        ("85 40 a106%s 4101 48%s 00" % (piv, "00" * 8), "not_cose"),
        ("84 60 a106%s 4101 48%s" % (piv, "00" * 8), "not_cose"),
        ("84 40 40 4101 48%s" % ("00" * 8), "not_cose"),
        ("84 40 80 4101 48%s" % ("00" * 8), "not_cose"),
        ("84 40 a106%s f6 48%s" % (piv, "00" * 8), "not_cose"),
        ("84 40 a106%s 4101 68%s" % (piv, "30" * 8), "not_cose"),
        ("84 40 a106%s 4101 f6" % piv, "not_cose"),
        ("84 41a0 a106%s 4101 48%s" % (piv, "00" * 8), "bad_header"),
        ("84 4100 a106%s 4101 48%s" % (piv, "00" * 8), "bad_header"),
        ("84 41ff a106%s 4101 48%s" % (piv, "00" * 8), "bad_header"),
        ("84 44a1044101 a106%s 4101 48%s" % (piv, "00" * 8), "bad_header"),
        ("84 43a10281 a106%s 4101 48%s" % (piv, "00" * 8), "bad_header"),
        ("84 43a10104 a106%s 4101 48%s" % (piv, "00" * 8), "explicit_alg"),
        ("84 43a10132 a106%s 4101 58 40%s" % (piv, "00" * 64), "explicit_alg"),
        ("84 45a1013903e6 a106%s 4101 48%s" % (piv, "00" * 8), "explicit_alg"),
        ("84 40 a20104 06%s 4101 48%s" % (piv, "00" * 8), "explicit_alg"),
        ("84 43a10104 a20104 06%s 4101 48%s" % (piv, "00" * 8), "explicit_alg"),
        ("84 40 a0 4101 48%s" % ("00" * 8), "bad_header"),
        ("84 40 a106420001 4101 48%s" % ("00" * 8), "bad_header"),
        ("84 40 a1064400000001 4101 48%s" % ("00" * 8), "bad_header"),
        ("84 40 a10601 4101 48%s" % ("00" * 8), "bad_header"),
        ("84 40 a1044107 4101 48%s" % ("00" * 8), "bad_header"),
        ("84 40 a20440 06%s 4101 48%s" % (piv, "00" * 8), "bad_header"),
        ("84 40 a20449%s 06%s 4101 48%s" % ("00" * 9, piv, "00" * 8), "bad_header"),
        ("84 40 a20407 06%s 4101 48%s" % (piv, "00" * 8), "bad_header"),
        ("84 40 a204f6 06%s 4101 48%s" % (piv, "00" * 8), "bad_header"),
        ("84 40 a2054d%s 06%s 4101 48%s" % ("00" * 13, piv, "00" * 8), "bad_header"),
        ("84 40 a206%s 0700 4101 48%s" % (piv, "00" * 8), "bad_header"),
        ("84 40 a28100 00 06%s 4101 48%s" % (piv, "00" * 8), "too_deep"),
        ("84 40 a206%s 6161 00 4101 48%s" % (piv, "00" * 8), "bad_key"),
        ("84 40 a206%s 06%s 4101 48%s" % (piv, piv, "00" * 8), "duplicate_key"),
        ("84 40 a206%s 044107 4101 48%s" % (piv, "00" * 8), "unsorted"),
        ("84 40 bf06%s ff 4101 48%s" % (piv, "00" * 8), "indefinite"),
        ("9f 40 a106%s 4101 48%s ff" % (piv, "00" * 8), "indefinite"),
        ("84 5800 a106%s 4101 48%s" % (piv, "00" * 8), "not_canonical"),
        ("84 40 a106%s 4101 5808%s" % (piv, "00" * 8), "not_canonical"),
        ("84 40 a106%s 4101 48%s 00" % (piv, "00" * 8), "trailing"),
        ("d1 84 40 a106%s 4101 48%s" % (piv, "00" * 8), "tag_not_allowed"),
        ("d2 84 40 a106%s 4101 5840%s" % (piv, "00" * 64), "tag_not_allowed"),
        ("83 40 a106%s 47%s" % (piv, "00" * 7), "tag_length"),
    ):
        assert refused(bytes.fromhex(text.replace(" ", ""))) == why, text
    for size in (0, 1, 4, 7, 9, 16, 32, 63, 65, 128):
        frame = good[:-9] + cbor.encode(bytes(size))
        assert refused(frame) == "tag_length", size
    assert cose.parse(good)[4] == bytes(range(8))


def test_longest_frame():
    frame = pack(bytes(236), bytes(8))
    assert len(frame) == 255 and cose.parse(frame)[3] == bytes(236)
    longer = pack(bytes(237), bytes(8))
    assert refused(longer) == "too_long"
    assert cose.parse(longer, 256)[3] == bytes(237)


def test_encrypt0_with_nothing_but_its_tag():
    assert cose.parse(pack(bytes(8), b"")) == (cose.ENCRYPT0, 70123, None, bytes(8), b"")


def test_bytes_of_any_kind():
    frame = pack(SITE, bytes(64), b"\x01\x07")
    assert cose.parse(bytearray(frame)) == cose.parse(memoryview(frame)) == cose.parse(frame)


def test_one_error_class_for_every_truncation_and_bit_flip():
    for frame in (pack(SITE, bytes(8)), pack(SITE, bytes(8), b"\x01\x07"), pack(SITE + bytes(8), b"")):
        for n in range(len(frame)):
            assert refused(frame[:n]) == "truncated"
        for i in range(len(frame)):
            for bit in range(8):
                flipped = bytearray(frame)
                flipped[i] ^= 1 << bit
                try:
                    _, piv, kid, body, tag = cose.parse(flipped)
                except WireError:
                    continue
                # What still parses differs where it was changed: nothing outside is passed over.
                assert pack(body, tag, kid, piv) == flipped


def test_structures_do_not_depend_on_the_buffer():
    for size in (0, 1, 23, 24, 255, 256):
        payload = bytes(size)
        for whole, into in (
            (cose.to_be_signed(AAD, payload), cose.to_be_signed_into),
            (cose.to_be_maced(AAD, payload), cose.to_be_maced_into),
        ):
            buf = bytearray(len(whole) + 5)
            assert into(buf, 5, AAD, payload) == len(buf) and buf[5:] == whole
            assert raises(WireError, into, bytearray(len(whole) - 1), 0, AAD, payload).args[0] == "too_long"
    whole = cose.enc_structure(AAD, b"\x01")
    buf = bytearray(len(whole))
    assert cose.enc_structure_into(buf, 0, AAD, b"\x01") == len(buf) and buf == whole
    assert cbor.decode(cose.to_be_signed(AAD, SITE)) == ["Signature1", b"", AAD, SITE]
    assert cbor.decode(whole) == ["Encrypt0", b"\x01", AAD]


def test_nothing_is_allocated():
    buf = bytearray(255)
    tag = bytes(64)

    def write():
        end = cose.ext_aad_into(buf, 0, cose.ALG_ED25519, cose.SIGN1, 0, TENANT, DEVICE, 3, 0, 70123)
        cose.to_be_signed_into(buf, end, AAD, SITE)
        cose.to_be_maced_into(buf, end, AAD, SITE)
        cose.enc_structure_into(buf, end, AAD)
        cose.pack_into(buf, 0, 70123, SITE, tag)
        return cose.pack_into(buf, 0, 70123, SITE, b"", b"\x01\x07")

    assert heap_locked(write) == 8 + 4 + 1 + 22
