"""A frame as a line of hexadecimal digits."""

from __future__ import annotations

import datetime


def wrap(data: bytes, *, time_us: int = 0, style: int = 0, **_: int) -> bytes:
    """style: 0 ISO time, 1 Unix seconds, 2 no time; 3 to 6 write the digits in other ways."""
    when = (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=time_us)).isoformat() + "Z"
    digits = [f"{byte:02x}" for byte in data]
    texts = {
        0: f"{when} {''.join(digits)}",
        1: f"{time_us // 1000000}.{time_us % 1000000:06d} {''.join(digits).upper()}",
        2: "".join(digits),
        3: f"{when} 0x{''.join(digits)}",
        4: f"{when}\t{':'.join(digits)}  # heard",
        5: " ".join("0x" + d for d in digits),
        6: " ".join(digits),
    }
    return texts[style].encode() + b"\n"
