"""HMAC-SHA-256 and HKDF: RFC 4231, RFC 5869, Project Wycheproof, the COSE working group's MAC examples."""

import gc
from binascii import hexlify, unhexlify

from firmware.protocols.hmac256 import Hmac, equal, hkdf
from tests.mpy.support import MICROPYTHON, data_dir, load_json, raises

# RFC 4231 section 4: key, data, the tag or its first 16 bytes
_RFC4231 = (
    (b"\x0b" * 20, b"Hi There", b"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (b"\xaa" * 20, b"\xdd" * 50, b"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        b"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (b"\x0c" * 20, b"Test With Truncation", b"a3b6167473100ee06e0c796c2955552b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        b"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        b"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
)


def test_rfc4231():
    count = 0
    for key, data, expected in _RFC4231:
        tag = Hmac(key).digest(data)
        assert len(tag) == 32
        assert hexlify(tag)[: len(expected)] == expected, data
        count += 1
    assert count == 7


def test_rfc5869():
    # Appendix A.1 .. A.3
    okm = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
    assert hexlify(okm) == (
        b"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    okm = hkdf(bytes(range(80)), bytes(range(0x60, 0xB0)), bytes(range(0xB0, 0x100)), 82)
    assert hexlify(okm) == (
        b"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        b"da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
    )
    okm = hkdf(b"\x0b" * 22, b"", b"", 42)
    assert hexlify(okm) == (
        b"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_hkdf_lengths():
    whole = hkdf(b"k", b"s", b"i", 100)
    for n in (0, 1, 31, 32, 33, 64, 65):
        assert hkdf(b"k", b"s", b"i", n) == whole[:n]
    assert hkdf(b"k", b"s", b"j", 100) != whole
    raises(ValueError, hkdf, b"k", b"s", b"i", 8161)


def test_parts_and_buffer_kinds_give_one_tag():
    mac = Hmac(b"key")
    data = bytes(range(150))
    expected = mac.digest(data)
    assert mac.mac(data) == expected
    assert mac.mac(data[:1], bytearray(data[1:64]), memoryview(data)[64:], b"") == expected
    assert mac.digest(bytearray(data)) == mac.digest(memoryview(data)) == expected
    assert mac.mac() == mac.digest(b"")
    assert mac.digest(data) == expected  # the cached pads are not used up


def test_keys_at_the_block_size():
    # RFC 2104: zeros pad a short key, so zeros change nothing up to 64 bytes; a longer key is hashed.
    assert Hmac(b"k").digest(b"m") == Hmac(b"k" + bytes(63)).digest(b"m")
    assert Hmac(b"k").digest(b"m") != Hmac(b"k" + bytes(64)).digest(b"m")
    assert Hmac(b"k").digest(b"m") != Hmac(b"l").digest(b"m")


def test_equal():
    tag = bytes(range(8))
    assert equal(tag, bytearray(tag))
    assert equal(memoryview(tag), tag)
    assert equal(b"", b"")
    for i in range(64):
        wrong = bytearray(tag)
        wrong[i >> 3] ^= 1 << (i & 7)
        assert not equal(tag, wrong)
    assert not equal(tag, tag[:7])
    assert not equal(tag, b"")
    assert not equal(tag[:7], tag)


def test_wycheproof_hmac():
    doc = load_json(data_dir("wycheproof") + "/hmac_sha256_test.json")
    count = {"valid": 0, "invalid": 0}
    for group in doc["testGroups"]:
        size = group["tagSize"] // 8
        for case in group["tests"]:
            tag = Hmac(unhexlify(case["key"])).digest(unhexlify(case["msg"]))
            verdict = equal(tag[:size], unhexlify(case["tag"]))
            assert verdict == (case["result"] == "valid"), case["tcId"]
            count[case["result"]] += 1
    assert count == {"valid": 66, "invalid": 108}


def test_wycheproof_hkdf():
    doc = load_json(data_dir("wycheproof") + "/hkdf_sha256_test.json")
    count = {"valid": 0, "invalid": 0}
    for group in doc["testGroups"]:
        for case in group["tests"]:
            given = unhexlify(case["ikm"]), unhexlify(case["salt"]), unhexlify(case["info"]), case["size"]
            if case["result"] == "valid":
                assert hkdf(*given) == unhexlify(case["okm"]), case["tcId"]
            else:
                raises(ValueError, hkdf, *given)
            count[case["result"]] += 1
    assert count == {"valid": 83, "invalid": 3}


def _example(name):
    """(key, MAC_structure built by hand from the frame, tag) of a COSE MAC0 example; RFC 9052 section 6.3."""
    doc = load_json(data_dir("cose") + "/" + name + ".json")
    frame = unhexlify(doc["output"]["cbor"])
    at = frame.find(b"\x84") + 1  # past the CBOR tag, if any
    n = frame[at] & 31
    protected = frame[at + 1 : at + 1 + n]
    if protected == b"\xa0":
        protected = b""  # RFC 9052 section 6.3: an empty map counts as the empty string
    payload = b"This is the content."
    at = frame.find(payload) + len(payload)
    tag = frame[at + (1 if frame[at] < 0x58 else 2) :]
    external = unhexlify(doc["input"].get("external", "") or doc["input"]["mac0"].get("external", ""))
    structure = b"\x84\x64MAC0" + bytes((0x40 | len(protected),)) + protected
    structure += bytes((0x40 | len(external),)) + external + b"\x54" + payload
    return doc, unhexlify(doc["intermediates"]["CEK_hex"]), structure, tag


def test_cose_examples():
    for name in ("HMac-01", "HMac-enc-05", "mac-pass-01", "mac-pass-02", "mac-pass-03"):
        doc, key, structure, tag = _example(name)
        assert structure == unhexlify(doc["intermediates"]["ToMac_hex"]), name
        assert len(tag) == (8 if name == "HMac-enc-05" else 32)
        assert equal(Hmac(key).digest(structure)[: len(tag)], tag), name


def test_cose_examples_that_must_fail():
    # mac-fail-01 differs in the CBOR tag alone, which no MAC covers: the frame parser's test.
    for name in ("mac-fail-02", "mac-fail-03", "mac-fail-04", "mac-fail-06", "mac-fail-07"):
        _, key, structure, tag = _example(name)
        assert len(tag) == 32
        assert not equal(Hmac(key).digest(structure), tag), name


def test_little_is_allocated():
    if not MICROPYTHON:
        return
    mac = Hmac(bytes(32))
    data = bytes(48)
    mac.digest(data)
    gc.collect()
    before = gc.mem_alloc()
    mac.digest(data)
    assert gc.mem_alloc() - before <= 512
