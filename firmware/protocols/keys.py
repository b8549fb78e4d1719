"""Keys of a device and the `purposes` of its key record (TRUST 0, 13)."""

from firmware.protocols.cbor import WireError, encode
from firmware.protocols.hmac256 import hkdf

# What K_dev derives; the signing seed `sign` is never derived.
LABELS = ("mac-up", "enc-up", "mac-down", "enc-down", "leaf", "recover", "kcv", "link")


def derive(k_dev, tenant, label, device, epoch):
    """The key `label` of a device and epoch: 16 bytes for enc-up, enc-down and link, else 32.

    `k_dev` 32 bytes, `tenant` and `device` 8, `epoch` from 1. WireError: no_key, out_of_range.
    """
    if label not in LABELS:
        raise WireError("no_key")
    if len(k_dev) != 32 or len(tenant) != 8 or len(device) != 8 or not 1 <= epoch <= 0xFFFFFFFF:
        raise WireError("out_of_range")
    info = encode(("lanterne/1", label, device, epoch))
    return hkdf(k_dev, tenant, info, 16 if label[:3] == "enc" or label == "link" else 32)


def _row(structure, key):
    return {
        "structure": structure,
        "alg": 4 if structure == "mac0" else 10 if structure == "encrypt0" else -19,
        "key": key,
    }


def purposes(profile):
    """The `purposes` of a record of profile "sign1", "mac0" or "encrypt0"; WireError wrong_structure."""
    sign = _row("sign1", "sign")
    recover = _row("mac0", "recover")
    if profile == "encrypt0":
        up = _row(profile, "enc-up")
        down = _row(profile, "enc-down")
    elif profile == "mac0" or profile == "sign1":
        up = sign if profile == "sign1" else _row(profile, "mac-up")
        down = _row("mac0", "mac-down")
    else:
        raise WireError("wrong_structure")
    return {0: up, 1: sign, 2: down, 3: up, 4: recover}
