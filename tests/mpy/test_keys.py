"""Key derivation and pinning. Vectors: HKDF of pyca/cryptography over cbor2's encoding (see tests/host)."""

from binascii import unhexlify

from firmware.protocols import keyrecord, keys
from firmware.protocols.cbor import WireError
from tests.mpy.support import raises

K_DEV = bytes(range(32))
TENANT = unhexlify("0011223344556677")
DEVICE = unhexlify("70b3d57ed0001234")
PUBLIC = unhexlify("29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7")

# Epoch 3; mac-up is printed in TRUST 0.
VECTORS = (
    ("mac-up", "469617a9d7c6c6935dc2ad83df914f3af0258c3460a0af6955fd240d13136d77"),
    ("enc-up", "1898a4cfd33e513fa2fb3b6ebc8bcd02"),
    ("mac-down", "ffd42e0db821db33710c9527d6ac65490e71c4b6623bcf872a4cb4277a254ded"),
    ("enc-down", "7b25a7b810b6a3c783403cb8220c15d6"),
    ("leaf", "ac34c7a0d77fc68fb7dd08f0bc84a830ffb5fcd07dfcbc53660a2f462e44977d"),
    ("recover", "bc4c716127b5094c610ff9ebaea4b97b119aa4cdbd7401953138cef565afecd7"),
    ("kcv", "a7705cac1244a2828e10f47cb287b52f02bb35e4f84c003f5b6ef3951da90eb0"),
    ("link", "8feac95da46d40e23426e9b200407988"),
)


def make_record(profile="mac0", epoch=3):
    """A device's key record as config makes it; the signing seed is 32..63."""
    held = {"sign": bytes(range(32, 64))}
    for label in keys.LABELS:
        held[label] = keys.derive(K_DEV, TENANT, label, DEVICE, epoch)
    return {
        "tenant": TENANT,
        "device": DEVICE,
        "epoch": epoch,
        "profile": profile,
        "public_key": PUBLIC,
        "keys": held,
        "purposes": keys.purposes(profile),
    }


def test_vectors():
    for label, want in VECTORS:
        assert keys.derive(K_DEV, TENANT, label, DEVICE, 3) == unhexlify(want), label
    assert sorted(keys.LABELS) == sorted([label for label, _ in VECTORS])


def test_every_input_matters():
    base = keys.derive(K_DEV, TENANT, "leaf", DEVICE, 3)
    other = (
        keys.derive(bytes(32), TENANT, "leaf", DEVICE, 3),
        keys.derive(K_DEV, bytes(8), "leaf", DEVICE, 3),
        keys.derive(K_DEV, TENANT, "kcv", DEVICE, 3),
        keys.derive(K_DEV, TENANT, "leaf", bytes(8), 3),
        keys.derive(K_DEV, TENANT, "leaf", DEVICE, 4),
        base,
    )
    assert len(set(other)) == 6


def test_bad_input_is_named():
    assert raises(WireError, keys.derive, K_DEV, TENANT, "sign", DEVICE, 3).args[0] == "no_key"
    for args in (
        (K_DEV[1:], TENANT, "leaf", DEVICE, 3),
        (K_DEV, TENANT[1:], "leaf", DEVICE, 3),
        (K_DEV, TENANT, "leaf", DEVICE + b"x", 3),
        (K_DEV, TENANT, "leaf", DEVICE, 0),
        (K_DEV, TENANT, "leaf", DEVICE, 1 << 32),
    ):
        assert raises(WireError, keys.derive, *args).args[0] == "out_of_range"
    assert raises(WireError, keys.purposes, "none").args[0] == "wrong_structure"
    assert raises(WireError, keyrecord.key, make_record(), "mac").args[0] == "no_key"


def test_profiles_pin_what_trust_says():
    mac, enc, sign = (17, 4, "mac-up"), (16, 10, "enc-up"), (18, -19, "sign")
    for profile, up, down in (
        ("mac0", mac, (17, 4, "mac-down")),
        ("encrypt0", enc, (16, 10, "enc-down")),
        ("sign1", sign, (17, 4, "mac-down")),
    ):
        record = make_record(profile)
        assert [keyrecord.pinned(record, p) for p in (0, 1, 2, 3)] == [up, sign, down, up]
        assert keyrecord.pinned(record, 4) == (17, 4, "recover")
        for purpose in (5, 6, 7, 8, 9, 10, -1):
            assert raises(WireError, keyrecord.pinned, record, purpose).args[0] == "wrong_purpose"


def test_purposes_as_json_has_them():
    record = make_record()
    record["purposes"] = {str(p): row for p, row in keys.purposes("encrypt0").items()}
    assert keyrecord.pinned(record, 0) == (16, 10, "enc-up")
