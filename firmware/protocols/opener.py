"""Opens COSE frames: the structure, algorithm and key are the record's, never the frame's (TRUST 13)."""

from firmware.protocols import cose, keyrecord
from firmware.protocols.cbor import WireError
from firmware.protocols.hmac256 import Hmac, equal
from firmware.protocols.seal import nonce
from firmware.protocols.seqspace import MAX_SEQ


class Opener:
    """Verifies frames of one key record. `verify(public, message, signature)` replaces our own Ed25519."""

    def __init__(self, record, verify=None):
        self.record = record
        self._verify = verify
        self._macs = {}

    def open(self, purpose, direction, seq, frame):
        """The payload of `frame` if its number is `seq`: one trial.

        WireError: what cose.parse says; wrong_purpose, no_key (not in the record); wrong_structure (another
        than the record pins); bad_header (a key id that is not the record's); seq_range; bad_tag (also
        where `seq` does not end in the frame's 24 bits) or bad_signature.
        """
        kind, piv, kid, body, tag = cose.parse(frame)
        r = self.record
        pinned, alg, label = keyrecord.pinned(r, purpose)
        if kind != pinned:
            raise WireError("wrong_structure")
        if kid is not None and kid != r.get("kid"):
            raise WireError("bad_header")
        if not (1 <= seq <= MAX_SEQ or (seq == 0 and purpose == 4)):
            raise WireError("seq_range")
        if seq & 0xFFFFFF != piv:
            raise WireError("bad_tag")
        aad = cose.ext_aad(alg, kind, purpose, r["tenant"], r["device"], r["epoch"], direction, seq)
        if kind == 16:
            from firmware.protocols import ccm

            return ccm.open(keyrecord.key(r, label), nonce(r, seq), cose.enc_structure(aad), body)
        if kind == 18:
            verify = self._verify
            if verify is None:
                from firmware.protocols.ed25519_verify import verify
            if not verify(r["public_key"], cose.to_be_signed(aad, body), tag):
                raise WireError("bad_signature")
            return body
        mac = self._macs.get(label)
        if mac is None:
            mac = self._macs[label] = Hmac(keyrecord.key(r, label))
        if not equal(mac.digest(cose.to_be_maced(aad, body))[:8], tag):
            raise WireError("bad_tag")
        return body
