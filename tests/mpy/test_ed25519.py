"""Ed25519: RFC 8032, Project Wycheproof, a COSE example, and what a strict verifier refuses.

The signatures to be refused were made with affine arithmetic apart from the code under test, from the key of
_SEED and the message _LAMP; tests/host/test_crypto_ed25519.py asks OpenSSL about them.
"""

from binascii import hexlify, unhexlify

from firmware.protocols.ed25519 import sign
from firmware.protocols.ed25519_verify import is_key, public_key, verify
from tests.mpy.support import data_dir, load_json, raises

_L = (1 << 252) + 27742317777372353535851937790883648493
_SEED = bytes(range(32))
_PUBLIC = unhexlify("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")
_LAMP = b"lamp"
_SIGNATURE = unhexlify(
    "e99d8de7145295f83994406d48dc0809c311f14ca1e64841c2a3bca7fd87f530"
    "8066263382075606c29b95c8b669f39431a78954d353890cdc7f32c3edea170f"
)

# RFC 8032 section 7.1: seed, public key, message, signature. TEST 1024 is the last of the host's vectors.
_RFC8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd2"
        "5bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c38"
        "7b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a"
        "7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd45"
        "4d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303d"
        "ca179c138ac17ad9bef1177331a704",
    ),
)

# Points whose order divides 8, in canonical form: neutral, order 2, two of order 4, four of order 8
_SMALL = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
)


def test_rfc8032():
    count = 0
    for case in _RFC8032:
        seed, public, message, signature = [unhexlify(x) for x in case]
        assert public_key(seed) == public
        assert sign(seed, public, message) == signature
        assert verify(public, message, signature)
        assert not verify(public, message + b"\0", signature)
        count += 1
    assert count == 4


def test_buffer_kinds():
    assert public_key(bytearray(_SEED)) == _PUBLIC
    signature = sign(memoryview(_SEED), bytearray(_PUBLIC), memoryview(_LAMP))
    assert signature == _SIGNATURE
    assert isinstance(signature, bytes)
    assert verify(memoryview(_PUBLIC), bytearray(_LAMP), memoryview(_SIGNATURE))
    assert verify(_PUBLIC, _LAMP, bytearray(_SIGNATURE))


def test_wrong_lengths():
    for size in (0, 31, 33, 64):
        raises(ValueError, public_key, bytes(size))
        raises(ValueError, sign, bytes(size), _PUBLIC, _LAMP)
        assert not verify(_PUBLIC[:size] + bytes(max(0, size - 32)), _LAMP, _SIGNATURE)
        assert not is_key(bytes(size))
    assert is_key(_PUBLIC)
    for size in (0, 32, 63, 65, 96):
        assert not verify(_PUBLIC, _LAMP, (_SIGNATURE + bytes(32))[:size])


def test_a_flipped_bit_is_refused():
    assert verify(_PUBLIC, _LAMP, _SIGNATURE)
    count = 0
    for which in range(3):
        for i in range(len((_PUBLIC, _LAMP, _SIGNATURE)[which])):
            given = [bytearray(_PUBLIC), bytearray(_LAMP), bytearray(_SIGNATURE)]
            given[which][i] ^= 1 << (i % 8)
            assert not verify(*given), (which, i)
            count += 1
    assert count == 32 + 4 + 64
    for i in (255, 511):  # the sign of R's x, the top bit of S
        wrong = bytearray(_SIGNATURE)
        wrong[i >> 3] ^= 128
        assert not verify(_PUBLIC, _LAMP, wrong)


def test_s_must_be_below_the_order():
    s = int.from_bytes(_SIGNATURE[32:], "little")
    n = s + _L
    count = 0
    while n < 1 << 256:
        assert not verify(_PUBLIC, _LAMP, _SIGNATURE[:32] + n.to_bytes(32, "little"))
        n += _L
        count += 1
    assert count == 15
    for n in (0, _L - 1, _L):
        assert not verify(_PUBLIC, _LAMP, _SIGNATURE[:32] + n.to_bytes(32, "little"))


def test_points_of_small_order_are_refused():
    # OpenSSL accepts this one: R neutral, S = k a; the signature says nothing about a nonce.
    signature = unhexlify(
        "0100000000000000000000000000000000000000000000000000000000000000"
        "697eacfb4efb6391a4365ea3e462db3c8963bcb0f74a9436a93a487e8c2d660f"
    )
    assert not verify(_PUBLIC, _LAMP, signature)
    # OpenSSL accepts these two. For a small A anyone finds S, here 12345: R = S B, in the second 8 divides k.
    signature = unhexlify(
        "ef4f62f8479733ad879cfaced3c89a9c39dd4fc795ef2efa1c3eafe4d729a081"
        "3930000000000000000000000000000000000000000000000000000000000000"
    )
    assert not verify(unhexlify(_SMALL[0]), _LAMP, signature)
    assert not verify(unhexlify(_SMALL[6]), b"lamp 5", signature)
    count = 0
    for small in _SMALL:
        small = unhexlify(small)
        assert not verify(small, _LAMP, signature)
        assert not verify(_PUBLIC, _LAMP, small + _SIGNATURE[32:])
        assert not verify(small, _LAMP, small + bytes(32))
        assert not is_key(small)
        count += 1
    assert count == 8


def test_the_equation_is_the_one_without_cofactor():
    # A and R with a component of order 8; verifiers that multiply by 8 accept both, OpenSSL neither.
    public = unhexlify("b502ff3d92e31d8190b4aa4ea0414005167fad089c4de9dac8a2fc850fed4f58")
    signature = unhexlify(
        "1d84c09c915b1e355f4130b3950f6754270b37696f36f1b6ca5d4a9b4cf48860"
        "da187666d98c34316a304fcabf2b274b2737276b3b5487807d7d0c493ee95c00"
    )
    assert not verify(public, _LAMP, signature)
    signature = unhexlify(
        "1c354c4c7a6de4bcb4fd275f391333dd9bf17d38b41332753f60cf56d5ef4fcc"
        "7ab7b7e3f500777cbafcd505fc6a8811c761e1a568dc975de7ff03d0e2038709"
    )
    assert not verify(_PUBLIC, _LAMP, signature)


def test_encodings_that_are_not_canonical_are_refused():
    p = (1 << 255) - 19
    # R = p + 1 stands for the neutral element and the S fits it.
    signature = unhexlify(
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        "20784cee2784653c478730a3b6023cfbc64d86995411260cd701a18707813000"
    )
    assert not verify(_PUBLIC, _LAMP, signature)
    from firmware.protocols.ed25519_verify import _decode

    assert not is_key((p + 3).to_bytes(32, "little"))
    assert is_key((3).to_bytes(32, "little"))
    on_curve = 0
    for y in range(19):
        for sign_bit in (0, 1 << 255):
            assert _decode((y + p | sign_bit).to_bytes(32, "little")) is None
            on_curve += _decode((y | sign_bit).to_bytes(32, "little")) is not None
    # y = 0, 1, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18 lie on the curve, each with two x but y = 1, whose x is 0
    assert on_curve == 23
    for y in (1, p - 1):  # minus zero
        assert _decode(y.to_bytes(32, "little")) == (0, y)
        assert _decode((y | 1 << 255).to_bytes(32, "little")) is None


def test_wycheproof():
    doc = load_json(data_dir("wycheproof") + "/ed25519_test.json")
    count = {"valid": 0, "invalid": 0}
    for group in doc["testGroups"]:
        public = unhexlify(group["publicKey"]["pk"])
        for case in group["tests"]:
            verdict = verify(public, unhexlify(case["msg"]), unhexlify(case["sig"]))
            assert verdict == (case["result"] == "valid"), case["tcId"]
            count[case["result"]] += 1
    assert count == {"valid": 88, "invalid": 63}


def test_cose_example():
    doc = load_json(data_dir("cose") + "/eddsa-sig-01.json")
    key = doc["input"]["sign0"]["key"]
    seed, public = unhexlify(key["d_hex"]), unhexlify(key["x_hex"])
    frame = unhexlify(doc["output"]["cbor"])
    # Sig_structure by hand (RFC 9052 section 4.4), the protected header as it stands in the frame
    structure = b"\x84\x6aSignature1" + frame[2:8] + b"\x40\x54This is the content."
    assert structure == unhexlify(doc["intermediates"]["ToBeSign_hex"])
    signature = sign(seed, public, structure)
    assert frame[-66:] == b"\x58\x40" + signature
    assert verify(public, structure, signature)
    assert not verify(public, structure[:-1] + b"!", signature)
    assert hexlify(public_key(seed)).decode() == key["x_hex"]
