"""What the device cryptography may cost: heap and time, measured under the real interpreter."""

from pathlib import Path

import pytest

from bench import device_crypto


@pytest.mark.parametrize("width", device_crypto.interpreters())
def test_signing_fits_a_small_heap_and_five_inversions(width: str, tmp_path: Path) -> None:
    interpreter = device_crypto.interpreters()[width]
    sizes = device_crypto.build(interpreter, tmp_path)
    assert sum(sizes[m] for m in ("sha512", "ed25519", "hmac256", "ccm")) < 14000
    assert device_crypto.signs(interpreter, tmp_path, "24k")
    assert device_crypto.signs(interpreter, tmp_path, "120k")
    assert not device_crypto.signs(interpreter, tmp_path, "8k")  # the check itself can fail
    times = device_crypto.measure(interpreter, tmp_path, device_crypto.NODE_HEAP, "speed")
    # One 255-bit pow(x, p - 2, p) in the same process is the peer; measured 2.7 to 3.0.
    assert times["sign_us"] < 5 * times["pow_us"], times
