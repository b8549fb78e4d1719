"""Seals payloads into COSE frames with what the key record pins (TRUST 0, 12, 13)."""

from firmware.protocols import chain, cose, keyrecord
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const
from firmware.protocols.hmac256 import Hmac
from firmware.protocols.seqspace import MAX_SEQ

_MAX_PAYLOAD = const(238)  # fills a frame of 255 bytes as encrypt0, the smallest envelope
_BODY = const(36)  # past the longest ext_aad, 34 bytes
_BUFFER = const(328)  # and the longest Sig_structure: 51 bytes and the payload


def nonce(record, seq):
    """The 13-byte CCM nonce: uint8(epoch) || device || uint32be(seq)."""
    head = bytes((record["epoch"] & 255,))
    return head + record["device"] + bytes((seq >> 24, seq >> 16 & 255, seq >> 8 & 255, seq & 255))


class Sealer:
    """One device's sealing: direction 0 on the device; a commander seals with 1.

    It keeps no number: that a (epoch, seq) is used once is the caller's, who stores what it sealed and sends
    that again. `record` is a key record with bytes for values.
    """

    def __init__(self, record, direction=0):
        self.record = record
        self._direction = direction
        self._buf = bytearray(_BUFFER)
        self._view = memoryview(self._buf)
        self._macs = {}

    def _aad(self, purpose, seq, tag, alg):
        if not (1 <= seq <= MAX_SEQ or (seq == 0 and purpose == 4)):
            raise WireError("seq_range")
        r = self.record
        end = cose.ext_aad_into(
            self._buf, 0, alg, tag, purpose, r["tenant"], r["device"], r["epoch"], self._direction, seq
        )
        return self._view[:end]

    def _hmac(self, label):
        mac = self._macs.get(label)
        if mac is None:
            mac = self._macs[label] = Hmac(keyrecord.key(self.record, label))
        return mac

    def seal(self, purpose, seq, payload, kid=None):
        """The frame, at most 255 bytes, of a payload.

        WireError: seq_range, too_long, wrong_purpose (not in the record), no_key.
        """
        if len(payload) > _MAX_PAYLOAD:
            raise WireError("too_long")
        tag, alg, label = keyrecord.pinned(self.record, purpose)
        aad = self._aad(purpose, seq, tag, alg)
        buf = self._buf
        view = self._view
        if tag == 17:
            end = cose.to_be_maced_into(buf, _BODY, aad, payload)
            mac = self._hmac(label).digest(view[_BODY:end])[:8]
        elif tag == 18:
            from firmware.protocols.ed25519 import sign

            end = cose.to_be_signed_into(buf, _BODY, aad, payload)
            mac = sign(keyrecord.key(self.record, label), self.record["public_key"], bytes(view[_BODY:end]))
        else:
            from firmware.protocols import ccm

            end = cose.enc_structure_into(buf, _BODY, aad)
            payload = ccm.seal(
                keyrecord.key(self.record, label), nonce(self.record, seq), bytes(view[_BODY:end]), payload
            )
            mac = b""
        end = cose.pack_into(buf, 0, seq, payload, mac, kid)
        if end > cose.MAX_FRAME:
            raise WireError("too_long")
        return bytes(view[:end])

    def leaf(self, purpose, seq, payload):
        """The 32-byte leaf of a frame under the record's leaf key."""
        tag, alg, _ = keyrecord.pinned(self.record, purpose)
        r = chain.salt(self._hmac("leaf"), seq)
        return chain.leaf(self._aad(purpose, seq, tag, alg), payload, r)
