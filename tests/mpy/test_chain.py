"""Leaves, salts and the chain. Vectors: hashlib and cbor2 on CPython; the first leaf is in TRUST 0."""

from binascii import unhexlify

from firmware.protocols import chain
from firmware.protocols.hmac256 import Hmac
from tests.mpy.test_keys import DEVICE, PUBLIC, TENANT, make_record

AAD = unhexlify("89010411004800112233445566774870b3d57ed000123403001a000111eb")
PAYLOAD = unhexlify("841a01ab3f80183f1901961880")


def test_head0():
    assert chain.head0(TENANT, DEVICE, 3, PUBLIC) == unhexlify("8d8a0dd0720c34bc3669c7f660f25afe")


def test_salt_and_leaf():
    r = chain.salt(Hmac(make_record()["keys"]["leaf"]), 70123)
    assert r == unhexlify("65d609e770811d6b036b0065eeeef9af")
    want = unhexlify("41e18769589f4ef793197ebdf984dee306ce894ba2379d39637672eb4f436879")
    assert chain.leaf(AAD, PAYLOAD, r) == want


def test_steps_and_a_signed_head_between():
    h = unhexlify("8d8a0dd0720c34bc3669c7f660f25afe")
    for i, want in enumerate(
        (
            "432e33692a5a97ac5cbc94cf08ec1b4d101392105d27485114610c581a9bfab3",
            "d48af51dd46bcd1908582c9034e97040999876a78029c39060a618d57de0ea33",
            "236f279d096148c9826507732e9bff34340acfb5fe0afefdcbd1363d007bd5b3",
        )
    ):
        h = chain.step(h, bytes((i,)) * 32)
        assert h == unhexlify(want)
    h = chain.step(h[:16], b"\x09" * 32)
    assert h == unhexlify("71486e3af678d906f14bd81adbc905386ca20e288b5aa573d538b164a3145d9a")


def test_leaf_dictionary_on_encrypt0():
    # Without the salt's key a list of likely payloads finds nothing: each candidate needs r.
    r = chain.salt(Hmac(make_record()["keys"]["leaf"]), 70123)
    leaf = chain.leaf(AAD, PAYLOAD, r)
    assert leaf != chain.leaf(AAD, PAYLOAD, b"") and leaf != chain.leaf(AAD, PAYLOAD, bytes(16))
    assert r != chain.salt(Hmac(make_record()["keys"]["leaf"]), 70124)
    assert r != chain.salt(Hmac(make_record("mac0", 4)["keys"]["leaf"]), 70123)


def test_lengths_are_in_the_leaf():
    assert chain.leaf(b"ab", b"c", bytes(16)) != chain.leaf(b"a", b"bc", bytes(16))
