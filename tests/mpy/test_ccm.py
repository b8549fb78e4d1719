"""AES-CCM-16-64-128: RFC 3610 packets, COSE examples, Wycheproof ciphertexts, every bit flipped.

Project Wycheproof has no case of this parameter set (128-bit key, 104-bit nonce, 64-bit tag). Its six cases
of 128-bit key and 104-bit nonce have 128-bit tags: only their ciphertext is compared, which the tag length
does not enter. tests/host/test_crypto_vectors.py has the NIST cases of this tag length and random ones.
"""

import gc
from binascii import unhexlify

from firmware.protocols.cbor import WireError
from firmware.protocols.ccm import open, seal
from tests.mpy.support import MICROPYTHON, data_dir, load_json, raises

_KEY = bytes(range(16))
_NONCE = bytes(range(13))

# RFC 3610 section 8, packet vectors 1 .. 6: nonce before a0..a5, bytes of header, bytes of packet, result
_PACKETS = (
    (b"00000003020100", 8, 31, b"588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"),
    (b"00000004030201", 8, 32, b"72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916"),
    (b"00000005040302", 8, 33, b"51b1e5f44a197d1da46b0f8e2d282ae871e838bb64da8596574adaa76fbd9fb0c5"),
    (b"00000006050403", 12, 31, b"a28c6865939a9a79faaa5c4c2a9d4a91cdac8c96c861b9c9e61ef1"),
    (b"00000007060504", 12, 32, b"dcf1fb7b5d9e23fb9d4e131253658ad86ebdca3e51e83f077d9c2d93"),
    (b"00000008070605", 12, 33, b"6fc1b011f006568b5171a42d953d469b2570a4bd87405a0443ac91cb94"),
)


def _refused(*given):
    return raises(WireError, open, *given).args[0]


def test_rfc3610_packets():
    key = bytes(range(0xC0, 0xD0))
    count = 0
    for nonce, header, length, expected in _PACKETS:
        nonce = unhexlify(nonce + b"a0a1a2a3a4a5")
        packet = bytes(range(length))
        sealed = seal(key, nonce, packet[:header], packet[header:])
        assert sealed == unhexlify(expected), nonce
        assert open(key, nonce, packet[:header], sealed) == packet[header:]
        count += 1
    assert count == 6


def test_round_trip_at_the_block_borders():
    seen = set()
    for text in (0, 1, 15, 16, 17, 31, 32, 33, 200):
        for aad in (0, 1, 13, 14, 15, 30, 31, 256):
            plain = bytes([i & 255 for i in range(text)])
            sealed = seal(_KEY, _NONCE, bytes(aad), plain)
            assert len(sealed) == text + 8
            assert open(_KEY, _NONCE, bytes(aad), sealed) == plain
            seen.add(sealed)
    assert len(seen) == 72  # lengths of aad that pad to the same block still give different tags


def test_every_flipped_bit_is_a_bad_tag():
    aad = bytes(range(30))
    sealed = seal(_KEY, _NONCE, aad, bytes(20))
    count = 0
    for which, good in enumerate((_KEY, _NONCE, aad, sealed)):
        for i in range(8 * len(good)):
            given = [_KEY, _NONCE, aad, sealed]
            wrong = bytearray(good)
            wrong[i >> 3] ^= 1 << (i & 7)
            given[which] = bytes(wrong)
            assert _refused(*given) == "bad_tag"
            count += 1
    assert count == 8 * (16 + 13 + 30 + 28)


def test_every_truncation_is_a_bad_tag():
    sealed = seal(_KEY, _NONCE, b"", bytes(20))
    for n in range(len(sealed)):
        assert _refused(_KEY, _NONCE, b"", sealed[:n]) == "bad_tag"
    assert _refused(_KEY, _NONCE, b"", sealed + b"\0") == "bad_tag"
    assert _refused(_KEY, _NONCE, b"", b"") == "bad_tag"


def test_lengths_out_of_the_profile():
    for size in (0, 15, 17, 24, 32):
        raises(ValueError, seal, bytes(size), _NONCE, b"", b"")
        raises(ValueError, open, bytes(size), _NONCE, b"", bytes(8))
    for size in (0, 7, 12, 14):
        raises(ValueError, seal, _KEY, bytes(size), b"", b"")
        raises(ValueError, open, _KEY, bytes(size), b"", bytes(8))
    assert raises(WireError, seal, _KEY, _NONCE, b"", bytes(65536)).args[0] == "too_long"
    assert raises(WireError, seal, _KEY, _NONCE, bytes(0xFF00), b"").args[0] == "too_long"
    assert _refused(_KEY, _NONCE, b"", bytes(65536 + 8)) == "too_long"
    assert len(seal(_KEY, _NONCE, bytes(0xFEFF), bytes(65535))) == 65543


def test_buffer_kinds():
    aad = bytes(range(30))
    plain = bytes(range(20))
    sealed = seal(_KEY, _NONCE, aad, plain)
    assert seal(bytearray(_KEY), memoryview(_NONCE), bytearray(aad), memoryview(plain)) == sealed
    assert open(_KEY, _NONCE, memoryview(aad), bytearray(sealed)) == plain
    assert isinstance(open(_KEY, _NONCE, aad, memoryview(sealed)), bytes)


def _example(name):
    """(key, nonce, aad, sealed) of a COSE AES-CCM example with a direct key, cut from the frame by hand."""
    doc = load_json(data_dir("cose") + "/" + name + ".json")
    middle = doc["intermediates"]
    frame = unhexlify(doc["output"]["cbor"])
    at = frame.find(b"\xa1\x05") + 3  # unprotected {5: nonce}
    n = frame[at - 1] & 31
    at += n + 2
    assert frame[at - 2] == 0x58 and frame[at - 1] == len(frame) - at
    return unhexlify(middle["CEK_hex"]), frame[at - 2 - n : at - 2], unhexlify(middle["AAD_hex"]), frame[at:]


def test_cose_example_of_this_algorithm():
    key, nonce, aad, sealed = _example("aes-ccm-enc-01")
    assert seal(key, nonce, aad, b"This is the content.") == sealed
    assert open(key, nonce, aad, sealed) == b"This is the content."


def test_cose_examples_of_the_other_algorithms_are_refused():
    key, nonce, aad, sealed = _example("aes-ccm-enc-02")  # the same with a tag of 16 bytes
    assert seal(key, nonce, aad, b"This is the content.")[:20] == sealed[:20]
    assert _refused(key, nonce, aad, sealed) == "bad_tag"
    for n in (3, 4, 5, 6, 7, 8):  # nonces of 7 bytes, keys of 256 bits
        raises(ValueError, open, *_example("aes-ccm-enc-0%d" % n))


def test_wycheproof():
    doc = load_json(data_dir("wycheproof") + "/aes_ccm_test.json")
    exact = same_text = refused = 0
    for group in doc["testGroups"]:
        sizes = group["keySize"], group["ivSize"], group["tagSize"]
        for case in group["tests"]:
            given = unhexlify(case["key"]), unhexlify(case["iv"]), unhexlify(case["aad"])
            text = unhexlify(case["msg"])
            if sizes[:2] != (128, 104):
                raises(ValueError, seal, *(given + (text,)))
                refused += 1
                continue
            sealed = unhexlify(case["ct"])
            assert case["result"] == "valid"
            assert seal(*(given + (text,)))[: len(text)] == sealed, case["tcId"]
            assert _refused(*(given + (sealed + unhexlify(case["tag"]),))) == "bad_tag"
            same_text += 1
            exact += sizes[2] == 64
    assert (exact, same_text, refused) == (0, 6, 546)


def test_little_is_allocated():
    if not MICROPYTHON:
        return
    aad = bytes(30)
    plain = bytes(20)
    seal(_KEY, _NONCE, aad, plain)
    gc.collect()
    before = gc.mem_alloc()
    seal(_KEY, _NONCE, aad, plain)
    assert gc.mem_alloc() - before <= 1536
