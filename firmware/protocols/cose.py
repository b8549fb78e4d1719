"""COSE_Sign1, COSE_Mac0 and COSE_Encrypt0 (RFC 9052) with everything fixed by the key record.

Untagged, the protected header empty, the algorithm implicit and bound by `ext_aad`; the unprotected
header holds the low 24 bits of the sequence number and, where the carrier does not address the device,
a key id. No key and no algorithm is touched here.
"""

from firmware.protocols.cbor import WireError, decode, put_bytes, put_head, put_int, put_raw
from firmware.protocols.compat import const

# CBOR tags of RFC 9052, bound by ext_aad and never on the wire.
ENCRYPT0 = const(16)
MAC0 = const(17)
SIGN1 = const(18)

# RFC 9053 and RFC 9864.
ALG_HMAC = const(4)  # HMAC 256/64
ALG_CCM = const(10)  # AES-CCM-16-64-128
ALG_ED25519 = const(-19)

MAX_FRAME = const(255)  # the longest LoRa payload

_MAC_TAG = const(8)
_SIGNATURE = const(64)
_MAX_KID = const(8)


def ext_aad_into(buf, pos, alg, tag, purpose, tenant, device, epoch, dir, seq):
    """Write det([1, alg, tag, purpose, tenant, device, epoch, dir, seq]) (TRUST 0); returns its end.

    `tenant` and `device` are 8 bytes, `dir` 0 up and 1 down. WireError: out_of_range, too_long.
    """
    if len(tenant) != 8 or len(device) != 8:
        raise WireError("out_of_range")
    pos = put_head(buf, pos, 4, 9)
    pos = put_int(buf, pos, 1)
    pos = put_int(buf, pos, alg)
    pos = put_int(buf, pos, tag)
    pos = put_int(buf, pos, purpose)
    pos = put_bytes(buf, pos, tenant)
    pos = put_bytes(buf, pos, device)
    pos = put_int(buf, pos, epoch)
    pos = put_int(buf, pos, dir)
    return put_int(buf, pos, seq)


def ext_aad(alg, tag, purpose, tenant, device, epoch, dir, seq):
    """`ext_aad_into` as new bytes."""
    buf = bytearray(48)
    return bytes(buf[: ext_aad_into(buf, 0, alg, tag, purpose, tenant, device, epoch, dir, seq)])


def _structure_into(buf, pos, context, protected, aad, payload):
    # The context is a text of at most 23 ASCII characters.
    pos = put_head(buf, pos, 4, 3 if payload is None else 4)
    pos = put_raw(buf, put_head(buf, pos, 3, len(context)), context)
    pos = put_bytes(buf, put_bytes(buf, pos, protected), aad)
    return pos if payload is None else put_bytes(buf, pos, payload)


def _structure(context, protected, aad, payload):
    # A bstr head takes at most 5 bytes here, the context and its head at most 12.
    buf = bytearray(28 + len(protected) + len(aad) + len(payload or b""))
    return bytes(buf[: _structure_into(buf, 0, context, protected, aad, payload)])


def to_be_signed_into(buf, pos, aad, payload, protected=b""):
    """Write the Sig_structure of RFC 9052 4.4; returns its end. WireError too_long."""
    return _structure_into(buf, pos, b"Signature1", protected, aad, payload)


def to_be_signed(aad, payload, protected=b""):
    """The bytes that Sign1 signs (RFC 9052 4.4)."""
    return _structure(b"Signature1", protected, aad, payload)


def to_be_maced_into(buf, pos, aad, payload, protected=b""):
    """Write the MAC_structure of RFC 9052 6.3; returns its end. WireError too_long."""
    return _structure_into(buf, pos, b"MAC0", protected, aad, payload)


def to_be_maced(aad, payload, protected=b""):
    """The bytes that Mac0 authenticates (RFC 9052 6.3)."""
    return _structure(b"MAC0", protected, aad, payload)


def enc_structure_into(buf, pos, aad, protected=b""):
    """Write the Enc_structure of RFC 9052 5.3; returns its end. WireError too_long."""
    return _structure_into(buf, pos, b"Encrypt0", protected, aad, None)


def enc_structure(aad, protected=b""):
    """The additional data of Encrypt0 (RFC 9052 5.3)."""
    return _structure(b"Encrypt0", protected, aad, None)


def pack_into(buf, pos, seq, payload, tag, kid=None):
    """Write a frame; returns its end.

    `seq`: its low 24 bits go into the header. `tag`: 8 bytes for Mac0, 64 for Sign1; empty for
    Encrypt0, whose `payload` is ciphertext and tag in one. `kid`: 1..8 bytes or None.
    WireError: out_of_range, too_long.
    """
    size = len(tag)
    if size and size != _MAC_TAG and size != _SIGNATURE:
        raise WireError("out_of_range")
    pos = put_head(buf, pos, 4, 4 if size else 3)
    pos = put_head(buf, pos, 2, 0)
    pos = put_head(buf, pos, 5, 1 if kid is None else 2)
    if kid is not None:
        if not 1 <= len(kid) <= _MAX_KID:
            raise WireError("out_of_range")
        pos = put_bytes(buf, put_int(buf, pos, 4), kid)
    pos = put_head(buf, put_int(buf, pos, 6), 2, 3)
    if len(buf) - pos < 3:
        raise WireError("too_long")
    buf[pos] = seq >> 16 & 255
    buf[pos + 1] = seq >> 8 & 255
    buf[pos + 2] = seq & 255
    pos = put_bytes(buf, pos + 3, payload)
    return put_bytes(buf, pos, tag) if size else pos


def parse(frame, limit=MAX_FRAME):
    """The parts of a frame: (kind, piv, kid, body, tag).

    `kind` is SIGN1, MAC0 or ENCRYPT0 and only tells the shape: the receiver takes the structure from the
    key record, never from here. `piv` is an integer of 24 bits, `kid` bytes or None, `tag` b"" for
    ENCRYPT0, whose body ends in its 8-byte tag. WireError for anything else, also above `limit` bytes.
    """
    if len(frame) > limit:
        raise WireError("too_long")
    parts = decode(frame, 0, None, 2, 12)
    if not isinstance(parts, list) or not 3 <= len(parts) <= 4:
        raise WireError("not_cose")
    protected, header, body = parts[:3]
    if not (isinstance(protected, bytes) and isinstance(header, dict) and isinstance(body, bytes)):
        raise WireError("not_cose")
    if 1 in header or _names_alg(protected):
        raise WireError("explicit_alg")
    piv = header.get(6)
    kid = header.get(4)
    if protected or len(header) != (1 if kid is None else 2) or not isinstance(piv, bytes) or len(piv) != 3:
        raise WireError("bad_header")
    if kid is not None and not (isinstance(kid, bytes) and 1 <= len(kid) <= _MAX_KID):
        raise WireError("bad_header")
    piv = piv[0] << 16 | piv[1] << 8 | piv[2]
    if len(parts) == 3:
        if len(body) < _MAC_TAG:
            raise WireError("tag_length")
        return ENCRYPT0, piv, kid, body, b""
    tag = parts[3]
    if not isinstance(tag, bytes):
        raise WireError("not_cose")
    if len(tag) != _MAC_TAG and len(tag) != _SIGNATURE:
        raise WireError("tag_length")
    return SIGN1 if len(tag) == _SIGNATURE else MAC0, piv, kid, body, tag


def _names_alg(protected):
    # Told apart from other protected headers, because this one is the attack of RFC 9052 appendix A.
    try:
        found = decode(protected)
    except WireError:
        return False
    return isinstance(found, dict) and 1 in found
