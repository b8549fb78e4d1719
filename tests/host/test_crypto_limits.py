"""What the device cryptography may cost in heap, measured under the real interpreter."""

from pathlib import Path

import pytest

from bench import device_crypto


@pytest.mark.parametrize("width", device_crypto.interpreters())
def test_signing_fits_a_small_heap(width: str, tmp_path: Path) -> None:
    interpreter = device_crypto.interpreters()[width]
    sizes = device_crypto.build(interpreter, tmp_path)
    assert sum(sizes[m] for m in ("sha512", "ed25519", "hmac256", "ccm")) < 14000
    assert device_crypto.signs(interpreter, tmp_path, "24k")
    assert device_crypto.signs(interpreter, tmp_path, "120k")
    assert not device_crypto.signs(interpreter, tmp_path, "8k")  # the check itself can fail
