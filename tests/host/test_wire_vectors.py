"""The golden vectors against what is not ours (cbor2, pycddl, pyca/cryptography), and that none changes."""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from firmware.protocols import schema

pycddl = pytest.importorskip("pycddl")

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests/vectors/wire"
CDDL = (ROOT / "docs/wire-format.cddl").read_text()
MESSAGES = [
    v for _, module in schema.TYPES.values() for v in json.loads((VECTORS / f"{module}.json").read_text())
]
FRAMES = json.loads((VECTORS / "frames.json").read_text())
REFUSED = json.loads((VECTORS / "refused.json").read_text())
#: A vector, once released, never changes: a new meaning takes a new message type.
FROZEN = {
    "bin.json": "8c6cc0f2d4a722e9",
    "cabinet.json": "d1db07d9e06a7dd9",
    "frames.json": "ada3085983b613e5",
    "hello.json": "410bcaf4655d4c87",
    "lamp.json": "972e8764a675782f",
    "leak.json": "7fce9fc529a087b5",
    "refused.json": "891d542e8516e37f",
    "site.json": "9628bcece2c949d5",
}


def by_name(vectors: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", vectors, ids=lambda v: v["name"])


def valid(rule: str, data: bytes) -> bool:
    """What pycddl says of `data` under one rule of the contract: it checks the first rule that it reads."""
    try:
        pycddl.Schema(f"root = {rule}\n{CDDL}").validate_cbor(data)
    except pycddl.ValidationError:
        return False
    return True


def valid_message(data: bytes) -> bool:
    """Whether one of the messages has these bytes.

    pycddl 0.6.4 lets more pass than the contract says: unknown keys where a map of optional ones stands in an
    array, an array where a choice of messages wants an integer. So each message and its map by themselves.
    """
    names = [name for name, _ in schema.TYPES.values()]
    return any(valid(name, data) and valid(f"{name}-fields", data[2:]) for name in names)


def from_diagnostic(text: str) -> Any:
    return ast.literal_eval(re.sub(r"h'([0-9a-f]*)'", lambda m: repr(bytes.fromhex(m[1])), text))


def plain(value: Any) -> Any:
    """cbor2 gives tuples inside arrays it calls immutable; compare as lists."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def summed(differences: list[int]) -> list[int]:
    total, found = 0, []
    for step in differences:
        total += step
        found.append(total)
    return found


@by_name(MESSAGES)
def test_cbor2_reads_the_diagnostic_notation(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    meant = from_diagnostic(vector["diag"])
    assert plain(cbor2.loads(data)) == meant
    # For keys of one byte the order of RFC 7049, which cbor2 has, is that of RFC 8949 4.2.1.
    assert cbor2.dumps(meant, canonical=True) == data


@by_name(MESSAGES)
def test_fields_are_those_of_the_table(vector: dict[str, Any]) -> None:
    number, pairs = from_diagnostic(vector["diag"])
    rows = {row[0]: row for row in schema.rows(number)}
    fields = {}
    for key, value in pairs.items():
        _, name, shape, *_ = rows[key]
        if name != "pad":
            fields[name] = value.hex() if shape == "bytes" else summed(value) if shape == "vector" else value
    assert number == vector["type"]
    assert fields == vector["fields"]


@by_name(MESSAGES)
def test_contract_accepts(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    name = schema.TYPES[vector["type"]][0]
    assert valid("payload", data)
    assert valid(name, data)
    assert valid(f"{name}-fields", data[2:])
    for other, _ in schema.TYPES.values():
        assert other == name or not valid(other, data)


#: What CDDL cannot say (sums of vectors, lengths and content of the pad, both times, deterministic form), and
#: two that pycddl 0.6.4 lets pass: an unknown key alone in a map, a text under `bytes .size`.
BEYOND_CDDL = {
    *("vector_first_negative", "vector_falls_below", "vector_rises_above"),
    *("leak_pad_too_short", "leak_pad_not_zero", "leak_pad_before_state", "both_times"),
    *("keys_unsorted", "value_not_shortest", "map_count_not_shortest", "array_indefinite", "map_indefinite"),
    *("bytes_indefinite", "key_twice", "key_twice_other_form", "self_described", "trailing_zero"),
    *("plan_is_number", "key_unknown", "key_negative", "key_text", "key_false", "bundle_is_text"),
    "cabinet_key_19",
}


@by_name([v for v in REFUSED if v["name"] not in BEYOND_CDDL])
def test_contract_refuses(vector: dict[str, Any]) -> None:
    assert not valid_message(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize(
    "rule,pairs",
    [
        ("hello-fields", {4: 1, 12: b"1"}),
        ("lamp-fields", {4: 1, 22: 0}),
        ("lamp-fields", {4: 1, -1: 0}),
        ("lamp-fields", {4: 1, "a": 0}),
        ("lamp-fields", {4: 1, 23: b""}),
        ("lamp-fields", {4: 101}),
        ("lamp-fields", {4: True}),
        ("lamp-fields", {4: 1.0}),
        ("lamp-fields", {10: -401}),
        ("lamp-fields", {10: 1251}),
        ("bin-fields", {10: []}),
        ("bin-fields", {10: [0] * 25}),
        ("bin-fields", {10: [20001]}),
        ("leak-fields", {7: 0}),
        ("leak-fields", {7: 0, 23: [bytes(22)]}),
        ("leak-fields", {7: 0, 23: [bytes(23), 0]}),
        ("hello-fields", {7: bytes(7)}),
    ],
)
def test_contract_refuses_these_fields(rule: str, pairs: dict[Any, Any]) -> None:
    assert not valid(rule, cbor2.dumps(pairs))


@by_name(MESSAGES)
def test_contract_refuses_each_value_out_of_range(vector: dict[str, Any]) -> None:
    number, pairs = from_diagnostic(vector["diag"])
    tried = 0
    for row in schema.rows(number):
        key, name, shape, _, _, lo, hi, *_ = row
        if key not in pairs or name == "pad":
            continue
        bad: list[Any] = [bytes(hi + 1), bytes(lo - 1)] if shape == "bytes" else [hi + 1, lo - 1]
        if shape == "vector":
            bad = [[hi + 1], [lo - hi - 1], []]
        for value in [*bad, None, "x", 0.5]:
            tried += 1
            assert not valid_message(cbor2.dumps([number, {**pairs, key: value}], canonical=True)), name
    assert tried or not pairs


@by_name(FRAMES)
def test_contract_has_the_frames(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["frame"])
    rules = {"mac0": "mac0-frame", "sign1": "sign1-frame", "encrypt0": "encrypt0-frame"}
    for structure, rule in rules.items():
        assert valid(rule, data) is (structure == vector["structure"])
    assert valid("frame", data)
    assert not valid("frame", cbor2.dumps(cbor2.CBORTag(vector["cose_tag"], cbor2.loads(data))))


@pytest.mark.parametrize(
    "rule,name",
    [
        ("checkpoint", "checkpoint"),
        ("command", "command_light"),
        ("command", "command_resume"),
        ("op-want", "command_encrypted"),
        ("result", "result_done"),
        ("recover-ask", "recover_ask"),
        ("payload", "mac0_site"),
        ("payload", "encrypt0_leak"),
    ],
)
def test_contract_has_the_payloads_of_the_frames(rule: str, name: str) -> None:
    (vector,) = [v for v in FRAMES if v["name"] == name]
    payload = bytes.fromhex(vector["payload"])
    assert valid(rule, payload)
    assert cbor2.dumps(cbor2.loads(payload), canonical=True) == payload
    for other in {"checkpoint", "op-light", "op-resume", "result", "recover-ask", "payload"}:
        assert other == rule or rule == "command" or not valid(other, payload)


@pytest.mark.parametrize(
    ("args", "good"),
    [
        ([50, 60, 0], True),
        ([50, 60, 0, 86400], True),
        ([50, 60, 0, 86400, 3600], True),
        ([50, 60], False),
        ([50, 60, 0, 86401], False),
        ([50, 60, 0, 0, 3601], False),
        ([50, 60, 0, 3600, 86400], False),
        ([50, 60, 0, 0, 0, 0], False),
    ],
)
def test_contract_has_the_arguments_that_may_be_left_out(args: list[int], good: bool) -> None:
    assert valid("op-light", cbor2.dumps([17, 600, 2, *args])) is good
    assert valid("command", cbor2.dumps([17, 600, 2, *args])) is good


def derive(vector: dict[str, Any]) -> bytes:
    info = cbor2.dumps(["lanterne/1", vector["label"], bytes.fromhex(vector["device"]), vector["epoch"]])
    length = 16 if vector["label"].startswith("enc") else 32
    return HKDF(hashes.SHA256(), length, bytes.fromhex(vector["tenant"]), info).derive(
        bytes.fromhex(vector["k_dev"])
    )


@by_name(FRAMES)
def test_frames_verify_with_other_crypto(vector: dict[str, Any]) -> None:
    words = ("name", "comment", "structure", "label")
    v: dict[str, Any] = {
        k: bytes.fromhex(x) if isinstance(x, str) and k not in words else x for k, x in vector.items()
    }
    aad = cbor2.dumps(
        [1, v["alg"], v["cose_tag"], v["purpose"], v["tenant"], v["device"], v["epoch"], v["dir"], v["seq"]]
    )
    assert aad == v["ext_aad"]
    parts = plain(cbor2.loads(v["frame"]))
    header = {6: (v["seq"] & 0xFFFFFF).to_bytes(3, "big")}
    if v["kid"] is not None:
        header[4] = v["kid"]
    assert parts[:2] == [b"", header]
    assert cbor2.dumps(parts, canonical=True) == v["frame"]
    if v["structure"] == "sign1":
        signed = cbor2.dumps(["Signature1", b"", aad, parts[2]])
        key = Ed25519PublicKey.from_public_bytes(v["public_key"])
        key.verify(parts[3], signed)
        with pytest.raises(InvalidSignature):
            key.verify(parts[3], signed + b"\0")
        assert Ed25519PrivateKey.from_private_bytes(v["seed"]).public_key() == key
        assert parts[2] == v["payload"]
    elif v["structure"] == "mac0":
        assert derive(vector) == v["key"]
        maced = cbor2.dumps(["MAC0", b"", aad, parts[2]])
        assert hmac.new(v["key"], maced, hashlib.sha256).digest()[:8] == parts[3]
        assert parts[2] == v["payload"]
    else:
        assert derive(vector) == v["key"]
        nonce = bytes([v["epoch"] & 255]) + v["device"] + v["seq"].to_bytes(4, "big")
        assert nonce == v["nonce"]
        cipher = AESCCM(v["key"], tag_length=8)
        assert cipher.decrypt(nonce, parts[2], cbor2.dumps(["Encrypt0", b"", aad])) == v["payload"]
        with pytest.raises(InvalidTag):
            cipher.decrypt(nonce, parts[2], b"")


@by_name([v for v in FRAMES if "leaf" in v])
def test_leaves(vector: dict[str, Any]) -> None:
    key = HKDF(
        hashes.SHA256(),
        32,
        bytes.fromhex(vector["tenant"]),
        cbor2.dumps(["lanterne/1", "leaf", bytes.fromhex(vector["device"]), vector["epoch"]]),
    ).derive(bytes(range(32)))
    salt = hmac.new(key, vector["seq"].to_bytes(4, "big"), hashlib.sha256).digest()[:16]
    assert salt.hex() == vector["salt"]
    covered = ["LL1", bytes.fromhex(vector["ext_aad"]), bytes.fromhex(vector["payload"]), salt]
    assert hashlib.sha256(cbor2.dumps(covered)).hexdigest() == vector["leaf"]


def test_the_values_of_the_definitions() -> None:
    """The one vector that was published with the definitions; written out here once more."""
    v = FRAMES[0]
    assert v["ext_aad"] == "89010411004800112233445566774870b3d57ed000123403001a000111eb"
    assert v["key"] == "469617a9d7c6c6935dc2ad83df914f3af0258c3460a0af6955fd240d13136d77"
    assert v["payload"] == "841a01ab3f80183f1901961880"
    assert v["tag"] == "5b840f8664979eb6"
    assert v["leaf"] == "41e18769589f4ef793197ebdf984dee306ce894ba2379d39637672eb4f436879"


def test_no_signature_and_no_tag_is_there_twice() -> None:
    """A number used twice under one key would show as an equal tag over equal bytes, or an equal nonce."""
    nonces = [v["nonce"] + v["label"] + (v["kid"] or "") for v in FRAMES if "nonce" in v]
    assert len(set(nonces)) == len(nonces)


@pytest.mark.parametrize("name", sorted(FROZEN))
def test_frozen(name: str) -> None:
    """Formatting may change, content may not."""
    content = json.dumps(json.loads((VECTORS / name).read_text()), sort_keys=True)
    assert hashlib.sha256(content.encode()).hexdigest()[:16] == FROZEN[name]


def test_no_vector_is_left_out() -> None:
    assert {v["name"] for v in REFUSED} >= BEYOND_CDDL
    assert {path.name for path in VECTORS.iterdir()} == set(FROZEN)
    names = [v["name"] for v in [*MESSAGES, *FRAMES, *REFUSED]]
    assert len(set(names)) == len(names)
