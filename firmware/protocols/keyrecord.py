"""What a key record (TRUST 13) says of a purpose, and its keys."""

from firmware.protocols.cbor import WireError


def pinned(record, purpose):
    """(COSE tag, algorithm, key label) that the record pins for a purpose.

    The keys of `record["purposes"]` are integers, or their text as JSON has them. WireError wrong_purpose.
    """
    rows = record["purposes"]
    row = rows.get(purpose) or rows.get(str(purpose))
    if row is None:
        raise WireError("wrong_purpose")
    name = row["structure"]
    return 17 if name == "mac0" else 16 if name == "encrypt0" else 18, row["alg"], row["key"]


def key(record, label):
    """The bytes of a key of the record; WireError no_key."""
    found = record["keys"].get(label)
    if found is None:
        raise WireError("no_key")
    return found
