"""SHA-512: FIPS 180-4 answers, every length around the block borders, buffer kinds, no state between calls.

Expected digests are the standard's or hashlib's; tests/host/test_crypto_vectors.py adds the NIST files.
"""

import gc
from binascii import hexlify, unhexlify

from firmware.protocols import sha512 as module
from firmware.protocols.sha512 import sha512
from tests.mpy.support import MICROPYTHON

_ABC = (
    b"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    b"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
)
_TWO_BLOCKS = (
    b"8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
    b"501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"
)


def test_the_code_under_test_is_ours_on_micropython():
    assert hasattr(module, "_rounds") == MICROPYTHON


def test_fips_examples():
    assert hexlify(sha512(b"abc")) == _ABC
    message = b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
    message += b"hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
    assert len(message) == 112
    assert hexlify(sha512(message)) == _TWO_BLOCKS


def test_a_million_letters():
    expected = (
        b"e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
        b"de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"
    )
    assert hexlify(sha512(b"a" * 1000000)) == expected


def test_every_length_from_0_to_300():
    # Each digest enters the next one, so the last answers for all 301.
    pattern = bytes([(7 * i + (i >> 3)) & 255 for i in range(300)])
    total = b""
    for n in range(301):
        total = sha512(total, sha512(pattern[:n]))
    expected = (
        b"4e5f744fa21e7519f747ca1176c27deda99c51f98668284b8c7e8ef39a555c20"
        b"a559b03fe0b584997901fe6cdbca8031c7a0a5cf4248085937efc4b85fa0fd8d"
    )
    assert hexlify(total) == expected


def test_parts_and_buffer_kinds_give_one_digest():
    data = bytes(range(200))
    expected = sha512(data)
    shifted = memoryview(b"x" + data)[1:]  # not aligned to words
    for whole in (bytearray(data), memoryview(data), shifted):
        assert sha512(whole) == expected
    assert sha512(data[:1], bytearray(data[1:130]), memoryview(data)[130:], b"") == expected
    assert sha512() == sha512(b"")


def test_a_changed_bit_changes_the_digest_and_a_call_leaves_nothing_behind():
    first = sha512(b"abc")
    assert sha512(b"abb") != first
    sha512(bytes(1000))
    assert sha512(b"abc") == first == unhexlify(_ABC)


def test_little_is_allocated():
    if not MICROPYTHON:
        return
    data = bytes(60)
    sha512(data)
    gc.collect()
    before = gc.mem_alloc()
    sha512(data)
    assert gc.mem_alloc() - before < 600
