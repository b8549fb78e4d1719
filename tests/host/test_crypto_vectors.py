"""The device cryptography on published vectors and against pyca/cryptography, under each interpreter.

The device code answers and never sees what is expected: a file of questions goes in, answers come out.
Vectors: the package cryptography-vectors (NIST CAVP, RFC 4231, RFC 5869, the Ed25519 authors' sign.input).
"""

import hashlib
import hmac
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.host.test_under_micropython import INTERPRETERS, ROOT

_ANSWER = """
import sys
sys.path.insert(0, ".")
from binascii import hexlify, unhexlify
from firmware.protocols import ccm, ed25519, ed25519_verify, hmac256, sha512
from firmware.protocols.cbor import WireError

operations = {
    "sha512": sha512.sha512,
    "public": ed25519_verify.public_key,
    "sign": ed25519.sign,
    "verify": lambda p, m, s: b"\\x01" if ed25519_verify.verify(p, m, s) else b"\\x00",
    "hmac": lambda k, m: hmac256.Hmac(k).digest(m),
    "hkdf": lambda i, s, f, n: hmac256.hkdf(i, s, f, int.from_bytes(n, "big")),
    "seal": ccm.seal,
    "open": ccm.open,
}
with open(sys.argv[1]) as f:
    for line in f:
        name, arguments = line.strip().split(":", 1)
        try:
            answer = operations[name](*[unhexlify(a) for a in arguments.split(",")])
        except WireError as e:
            answer = e.args[0].encode()
        print(hexlify(answer).decode())
"""

Questions = Sequence[tuple[str, tuple[bytes, ...]]]
Ask = Callable[[Questions], list[bytes]]
COMMANDS = {width: [path, "-X", "heapsize=1m"] for width, path in INTERPRETERS.items()}
COMMANDS["cpython"] = [sys.executable]


@pytest.fixture(params=COMMANDS)
def ask(request: pytest.FixtureRequest, tmp_path: Path) -> Ask:
    """Answers of the device code under one interpreter to a list of (operation, arguments)."""

    def answers(questions: Questions) -> list[bytes]:
        script, given = tmp_path / "answer.py", tmp_path / "questions"
        script.write_text(_ANSWER)
        given.write_text("".join(f"{name}:{','.join(a.hex() for a in args)}\n" for name, args in questions))
        run = subprocess.run(
            [*COMMANDS[request.param], str(script), str(given)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stdout[-500:] + run.stderr[-2000:]
        lines = run.stdout.split("\n")[:-1]
        assert len(lines) == len(questions)
        return [bytes.fromhex(line) for line in lines]

    return answers


def _records(path: str, last: str) -> Iterator[dict[str, str]]:
    """The `name = value` records of a NIST file, each complete at the field `last`; [section] values stay."""
    record: dict[str, str] = {}
    with cryptography_vectors.open_vector_file(path, "r") as f:
        for line in f:
            name, equals, value = line.strip().strip("[]").partition("=")
            if equals and not line.startswith("#"):
                record[name.strip()] = value.strip()
                if name.strip() == last:
                    yield dict(record)


def test_sha512_nist(ask: Ask) -> None:
    cases = []
    for name, count in (("Short", 129), ("Long", 128)):
        records = list(_records(f"hashes/SHA2/SHA512{name}Msg.rsp", "MD"))
        assert len(records) == count
        cases += [(bytes.fromhex(r["Msg"])[: int(r["Len"]) // 8], r["MD"]) for r in records]
    answers = ask([("sha512", (message,)) for message, _ in cases])
    assert [a.hex() for a in answers] == [digest for _, digest in cases]


def test_sha512_every_length_to_300(ask: Ask) -> None:
    messages = [random.Random(n).randbytes(n) for n in range(301)]
    answers = ask([("sha512", (m,)) for m in messages])
    for message, answer in zip(messages, answers, strict=True):
        assert answer == hashlib.sha512(message).digest(), len(message)


def _sign_input() -> list[tuple[bytes, bytes, bytes, bytes]]:
    cases = []
    with cryptography_vectors.open_vector_file("asymmetric/Ed25519/sign.input", "r") as f:
        for line in f:
            secret, public, message, signed, _ = line.split(":")
            cases.append(
                (
                    bytes.fromhex(secret)[:32],
                    bytes.fromhex(public),
                    bytes.fromhex(message),
                    bytes.fromhex(signed)[:64],
                )
            )
    assert len(cases) == 1024
    assert [len(c[2]) for c in cases] == list(range(1024))
    return cases


def test_ed25519_sign_input(ask: Ask) -> None:
    cases = _sign_input()
    answers = ask([("sign", (seed, public, message)) for seed, public, message, _ in cases])
    assert answers == [signature for *_, signature in cases]


@pytest.mark.slow
def test_ed25519_sign_input_keys_and_verdicts(ask: Ask) -> None:
    cases = _sign_input()
    answers = ask([("public", (seed,)) for seed, *_ in cases])
    assert answers == [public for _, public, *_ in cases]
    questions = []
    for n, (_, public, message, signature) in enumerate(cases):
        wrong = bytearray(signature)
        wrong[n % 64] ^= 1 << (n // 64 % 8)
        questions += [("verify", (public, message, signature)), ("verify", (public, message, bytes(wrong)))]
    assert ask(questions) == [b"\1", b"\0"] * 1024


def test_ed25519_against_openssl(ask: Ask) -> None:
    chance = random.Random(25519)
    questions, expected = [], []
    for _ in range(60):
        seed, message = chance.randbytes(32), chance.randbytes(chance.randrange(200))
        key = Ed25519PrivateKey.from_private_bytes(seed)
        public, signature = key.public_key().public_bytes_raw(), key.sign(message)
        questions += [
            ("public", (seed,)),
            ("sign", (seed, public, message)),
            ("verify", (public, message, signature)),
            ("verify", (public, message + b"!", signature)),
            ("verify", (chance.randbytes(32), message, signature)),
        ]
        expected += [public, signature, b"\1", b"\0", b"\0"]
    answers = ask(questions)
    assert answers == expected
    for i in range(0, len(questions), 5):
        Ed25519PublicKey.from_public_bytes(answers[i]).verify(answers[i + 1], questions[i + 1][1][2])


def test_hmac_rfc4231_and_random(ask: Ask) -> None:
    cases = [
        (bytes.fromhex(r["Key"]), bytes.fromhex(r["Msg"]), bytes.fromhex(r["MD"]))
        for r in _records("HMAC/rfc-4231-sha256.txt", "MD")
    ]
    assert len(cases) == 6
    chance = random.Random(256)
    for n in range(200):
        key, message = chance.randbytes(n), chance.randbytes(chance.randrange(300))
        cases.append((key, message, hmac.digest(key, message, "sha256")))
    assert ask([("hmac", (k, m)) for k, m, _ in cases]) == [tag for *_, tag in cases]


def test_hkdf_files_and_random(ask: Ask) -> None:
    records = list(_records("KDF/rfc-5869-HKDF-SHA256.txt", "OKM"))
    assert len(records) == 3
    generated = list(_records("KDF/hkdf-generated.txt", "OKM"))
    assert len(generated) == 1
    cases = [
        (bytes.fromhex(r["IKM"]), bytes.fromhex(r["salt"]), bytes.fromhex(r["info"]), bytes.fromhex(r["OKM"]))
        for r in records + generated
    ]
    chance = random.Random(5869)
    for n in range(1, 100):
        ikm, salt, info = (chance.randbytes(chance.randrange(80)) for _ in range(3))
        cases.append((ikm, salt, info, HKDF(SHA256(), n, salt, info).derive(ikm)))
    answers = ask([("hkdf", (i, s, f, len(okm).to_bytes(2, "big"))) for i, s, f, okm in cases])
    assert answers == [okm for *_, okm in cases]


def test_ccm_nist(ask: Ask) -> None:
    # VTT varies the tag: its ten cases of 8 bytes are this algorithm. VPT has 16-byte tags: its texts count.
    whole = [r for r in _records("ciphers/AES/CCM/VTT128.rsp", "CT") if r["Tlen"] == "8"]
    assert len(whole) == 10
    assert {(r["Nlen"], r["Alen"], r["Plen"]) for r in whole} == {("13", "32", "24")}
    text = list(_records("ciphers/AES/CCM/VPT128.rsp", "CT"))
    assert len(text) == 250
    assert {r["Nlen"] for r in text} == {"13"}
    questions = []
    for r in whole + text:
        plain = bytes.fromhex(r["Payload"])[: int(r["Plen"])]
        key, nonce, aad = (bytes.fromhex(r[x]) for x in ("Key", "Nonce", "Adata"))
        questions.append(("seal", (key, nonce, aad, plain)))
    answers = [a.hex() for a in ask(questions)]
    assert answers[:10] == [r["CT"] for r in whole]
    assert [a[:-16] for a in answers[10:]] == [r["CT"][: 2 * int(r["Plen"])] for r in text]
    again = [("open", (*q[1][:3], bytes.fromhex(a))) for q, a in zip(questions, answers, strict=True)]
    assert ask(again) == [q[1][3] for q in questions]


def test_ccm_against_openssl(ask: Ask) -> None:
    chance = random.Random(3610)
    questions, expected = [], []
    sizes = [(n, chance.randrange(250)) for n in range(250)]
    # Lengths and block counts of more than a byte
    sizes += [(255, 256), (256, 255), (300, 300), (40, 4096), (41, 5000), (0xFEFE, 3)]
    for size, text in sizes:
        key, nonce = chance.randbytes(16), chance.randbytes(13)
        aad, plain = chance.randbytes(size), chance.randbytes(text)
        sealed = AESCCM(key, 8).encrypt(nonce, plain, aad)
        wrong = bytearray(sealed)
        wrong[chance.randrange(len(wrong))] ^= 1 << chance.randrange(8)
        questions += [
            ("seal", (key, nonce, aad, plain)),
            ("open", (key, nonce, aad, sealed)),
            ("open", (key, nonce, aad, bytes(wrong))),
            ("open", (key, nonce, aad + b"\0", sealed)),
        ]
        expected += [sealed, plain, b"bad_tag", b"bad_tag"]
    assert ask(questions) == expected
