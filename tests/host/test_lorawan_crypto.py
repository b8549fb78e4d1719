"""MICs, cipher and keys against published vectors: lora-packet's README and tests, brocaar/lorawan
phypayload_test.go, and The Things Stack's pkg/crypto tests (data_messages, join_messages, key_derivation)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.lorawan import crypto, phy
from host_tools.lorawan.crypto import Aes
from tests.host import lorawan_bench as bench


def h(text: str) -> bytes:
    return bytes.fromhex(text)


ONES, TWOS = Aes(b"\1" * 16), Aes(b"\2" * 16)
README_NWK, README_APP = (
    Aes(h("44024241ed4ce9a68c6a8bc055233fd3")),
    Aes(h("ec925802ae430ca77fd3dd73cb2cc588")),
)


@pytest.mark.parametrize(
    ("frame", "nwk", "app", "fcnt", "clear"),
    [
        ("40F17DBE4900020001954378762B11FF0D", README_NWK, README_APP, 2, b"test"),
        ("40F17DBE49000300012A3518AF", README_NWK, README_APP, 3, b""),
        ("60f17dbe4920020001f9d65d27", README_NWK, README_APP, 2, b""),
        ("400403020180010001a694642615d6c3b582", TWOS, ONES, 1, b"hello"),
        ("4004030201030000020305016a3798f5b64dc039", ONES, ONES, 0, None),
        ("40040302010000000069369eee6aa508", ONES, ONES, 0, h("020305")),
    ],
)
def test_data_frames(frame: str, nwk: Aes, app: Aes, fcnt: int, clear: bytes | None) -> None:
    data = h(frame)
    parsed = phy.parse(data)
    assert isinstance(parsed, phy.Data)
    assert crypto.data_mic(nwk, parsed.direction, parsed.dev_addr, fcnt, data[:-4]) == parsed.mic
    assert crypto.data_mic(nwk, parsed.direction, parsed.dev_addr, fcnt + 65536, data[:-4]) != parsed.mic
    key = app if parsed.fport else nwk
    if clear is not None:
        assert crypto.crypt(key, parsed.direction, parsed.dev_addr, fcnt, parsed.body) == clear


MESSAGE = h("40 04030201 00 0100 01 01020304")
ADDR = 0x01020304


def test_mics_of_both_directions_and_of_1_1() -> None:
    assert crypto.data_mic(ONES, 0, ADDR, 1, MESSAGE) == h("3b073182")
    assert crypto.data_mic(ONES, 1, ADDR, 1, MESSAGE) == h("a5609fa9")
    assert crypto.data_mic_up_11(ONES, ONES, ADDR, 1, MESSAGE) == h("3b073b07")


def test_cipher_of_both_directions_and_fopts_of_1_1() -> None:
    clear = h("01020304")
    assert crypto.crypt(ONES, 0, ADDR, 1, clear) == h("cff30b4e")
    assert crypto.crypt(ONES, 1, ADDR, 1, clear) == h("4e75f440")
    assert crypto.crypt_fopts_11(ONES, 0, ADDR, 1, clear) == h("33c92622")
    assert crypto.crypt_fopts_11(ONES, 1, ADDR, 1, clear) == h("ca6fdaba")


def test_joins() -> None:
    asked = h("00DC0000D07ED5B3701E6FEDF57CEEAF0085CC587FE913")
    assert crypto.join_mic(Aes(h("B6B53F4A168A7A88BDF7EA135CE9CFCA")), asked[:-4]) == asked[-4:]
    asked = h("00 0807060504030201 0807060504030201 0201")
    assert crypto.join_mic(ONES, asked) == h("e6e10c55")
    sealed = h("20493eeb51fba2116f810edb3742975142")
    key = Aes(h("00112233445566778899aabbccddeeff"))
    assert crypto.open_join_accept(key, sealed) == h("c70b5701112280190302000043485bbc")
    assert crypto.open_join_accept(ONES, sealed) is None
    sealed = h("20c9fbb259e11649096a568a9e3b7117c3")
    assert crypto.open_join_accept(ONES, sealed) == h("03020103020104030201000132f54ab3")


def test_join_accept_mic_of_1_1() -> None:
    message = h("20 030201 030201 04030201 00 01")
    join_eui = h("0807060504030201")
    assert crypto.join_accept_mic_11(ONES, 0xFF, join_eui, 0x0201, message) == h("48e9be5f")


@pytest.mark.parametrize(
    ("message", "mic"),
    [
        ("c0 00 030201 0807060504030201 0201", "11da47bd"),
        ("c0 01 0807060504030201 0807060504030201 0201", "67f9abe7"),
        ("c0 02 030201 0807060504030201 0201", "2b459cf0"),
    ],
)
def test_rejoin_mics_of_1_1(message: str, mic: str) -> None:
    parsed = phy.parse(h(message + mic))
    assert isinstance(parsed, phy.Rejoin)
    assert crypto.join_mic(ONES, h(message)) == parsed.mic == h(mic)


def test_session_keys() -> None:
    app_key = Aes(h("98929b92c49edba9676d646d3b612456"))
    # Written by lora-packet as arrays in printed order: AppNonce 376338, NetID aabbcc, DevNonce f18e.
    assert crypto.session_keys(app_key, 0x376338, 0xAABBCC, 0xF18E) == (
        h("4e3d6e6afbcc67af2ba3c8e8ec4acf4b"),
        h("610897aa6f1460623443b527d3ac6a9d"),
    )
    root = Aes(h("BEC499C69E9C939E413B663961636C61"))
    assert crypto.session_keys(root, 0xAE3B1C, 0x020101, 0x7369) == (
        h("0db924ee6af90698e05fc7ce48303c01"),
        h("8c1e0543a229088de6f84e74bb46bd62"),
    )


def test_session_keys_of_1_1() -> None:
    root = Aes(h("BEC499C69E9C939E413B663961636C61"))
    assert crypto.session_keys_11(root, root, 0xAE3B1C, h("0000001223224242"), 0x7369) == (
        h("379084E7CE22FF191BFF4B77536F2AA3"),
        h("63C59309D53485BC5164DBF71627AEB9"),
        h("CE07A009A3970AC0519A099ED53E550B"),
        h("B035CCE24E4A040EB5CECBF21724412D"),
    )
    assert crypto.join_server_keys_11(root, h("0042004213424341")) == (
        h("CB8E9EE114C3FB5CE472A5AA13AB1855"),
        h("BB711EEFB9829B4A75866F8616BACD6D"),
    )


def test_a_key_shows_nowhere_and_has_its_length() -> None:
    assert "01" not in repr(ONES)
    with pytest.raises(ValueError, match="16 bytes"):
        Aes(bytes(15))


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=242),
)
@settings(max_examples=100, deadline=None)
def test_cipher_and_mic_are_those_of_the_bench(
    key: bytes, way: int, addr: int, fcnt: int, body: bytes
) -> None:
    sealed = bench.crypted(key, way, addr, fcnt, body)
    aes = Aes(key)
    assert crypto.crypt(aes, way, addr, fcnt, sealed) == body
    assert crypto.crypt(aes, way, addr, fcnt, body) == sealed
    made = bench.data_frame(addr, fcnt, key, key, 1, body[:200], down=bool(way))
    assert crypto.data_mic(aes, way, addr, fcnt, made[:-4]) == made[-4:]
