"""Files of LoRaWAN keys: what is read, refused in one line without a key, and kept from others' eyes."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.errors import InputError
from host_tools.lorawan.keysfile import FORMAT, Device, Keys, Session, load_keys

KEY, OTHER = bytes(range(0x80, 0x90)), bytes(range(0x90, 0xA0))
DEV_EUI, JOIN_EUI = bytes.fromhex("70b3d57ed1000001"), bytes.fromhex("70b3d57ed0000001")
DEVICE = {"name": "lamp-1", "dev_eui": DEV_EUI.hex(), "join_eui": JOIN_EUI.hex(), "app_key": KEY.hex()}
SESSION = {"dev_addr": "49be7df1", "nwk_s_key": KEY.hex(), "app_s_key": OTHER.hex(), "dev_eui": DEV_EUI.hex()}


def written(path: Path, content: Any, mode: int = 0o600) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


def of(devices: Any = (), sessions: Any = (), **more: Any) -> dict[str, Any]:
    return {"format": FORMAT, "devices": list(devices), "sessions": list(sessions), **more}


def test_a_file(tmp_path: Path) -> None:
    found = Keys.load(written(tmp_path / "k.json", of([DEVICE], [SESSION])))
    assert found.devices == (Device("lamp-1", DEV_EUI, JOIN_EUI, KEY),)
    assert found.sessions == (Session(0x49BE7DF1, KEY, OTHER, DEV_EUI),)
    found.dump(tmp_path / "again.json")
    assert stat.S_IMODE((tmp_path / "again.json").stat().st_mode) == 0o600
    assert Keys.load(tmp_path / "again.json") == found


def test_one_kind_of_key_is_enough(tmp_path: Path) -> None:
    path = written(tmp_path / "k.json", {"format": FORMAT, "sessions": [SESSION]})
    assert not Keys.load(path).devices
    path = written(tmp_path / "k.json", {"format": FORMAT, "devices": [DEVICE]})
    assert not Keys.load(path).sessions
    # And a session without the key of payloads, or with a counter that is known.
    session = {k: SESSION[k] for k in ("dev_addr", "nwk_s_key")} | {"fcnt_up": 2**32 - 1, "name": "é"}
    found = Keys.load(written(tmp_path / "k.json", of([], [session])))
    assert found.sessions == (Session(0x49BE7DF1, KEY, b"", b"", "é", 2**32 - 1),)
    found.dump(tmp_path / "again.json")
    assert Keys.load(tmp_path / "again.json") == found


def test_repr_shows_no_key() -> None:
    keys = Keys([Device("x", DEV_EUI, JOIN_EUI, KEY)], [Session(1, KEY, OTHER)])
    for shown in (repr(keys), repr(keys.devices), repr(keys.sessions)):
        for key in (KEY, OTHER):
            assert key.hex() not in shown
            assert repr(key)[2:-1] not in shown


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != name}


REFUSED = {
    "another format": ({**of(), "format": "lanterne-keyring/1"}, "lanterne-keyring/1 file"),
    "no format": ({"devices": []}, "not a lanterne-lorawan-keys/1 file"),
    "no object": ("[1]", "not a JSON file"),
    "no JSON": ('{"format"', "not a JSON file"),
    "a name twice": ('{"format": "x", "format": "y"}', "not a JSON file"),
    "an unknown member": (of(root=1), "never holds root"),
    "a new member": (of(groups=1), "groups"),
    "devices that are no list": (of() | {"devices": {}}, "no list"),
    "a device that is no object": (of([1]), "a device is no object"),
    "an unknown member of a device": (of([DEVICE | {"nwk_key": KEY.hex()}]), "nwk_key"),
    "an unknown member of a session": (of([], [SESSION | {"app_key": KEY.hex()}]), "app_key"),
    "a device without its key": (of([without(DEVICE, "app_key")]), "app_key is missing"),
    "a device without any EUI": (
        of([without(without(DEVICE, "dev_eui"), "join_eui")]),
        "neither dev_eui nor join_eui",
    ),
    "a short EUI": (of([DEVICE | {"dev_eui": "70b3"}]), "dev_eui is missing or not 16"),
    "a null EUI": (of([DEVICE | {"dev_eui": None}]), "dev_eui is missing or not 16"),
    "a key that is no hex": (of([DEVICE | {"app_key": "zz" * 16}]), "app_key is missing or not 32"),
    "a key with blanks": (of([DEVICE | {"app_key": " ".join(KEY.hex(" ").split())}]), "app_key"),
    "a key of another length": (of([], [SESSION | {"nwk_s_key": KEY.hex() * 2}]), "nwk_s_key"),
    "an address as a number": (of([], [SESSION | {"dev_addr": 0x49BE7DF1}]), "dev_addr"),
    "a counter below 0": (of([], [SESSION | {"fcnt_up": -1}]), "fcnt_up"),
    "a counter that is no number": (of([], [SESSION | {"fcnt_down": True}]), "fcnt_down"),
    "a name that is none": (of([DEVICE | {"name": 5}]), "name is no text"),
    "half a surrogate pair": (of([DEVICE | {"name": "\ud800"}]), "name is no text"),
    "a device twice": (of([DEVICE, DEVICE | {"app_key": OTHER.hex()}]), "there twice"),
    "a session twice": (of([], [SESSION, SESSION | {"app_s_key": KEY.hex()}]), "there twice"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_in_one_line_without_a_key(tmp_path: Path, case: str) -> None:
    content, words = REFUSED[case]
    with pytest.raises(InputError) as caught:
        Keys.load(written(tmp_path / "k.json", content))
    message = str(caught.value)
    assert words in message
    assert str(tmp_path) in message
    assert "\n" not in message
    for key in (KEY, OTHER):
        assert key.hex() not in message.lower()


def test_equal_rows_count_once(tmp_path: Path) -> None:
    found = Keys.load(written(tmp_path / "k.json", of([DEVICE, DEVICE], [SESSION, SESSION])))
    assert (len(found.devices), len(found.sessions)) == (1, 1)


@pytest.mark.parametrize("content", [json.dumps(of([DEVICE])), f'"{DEV_EUI.hex()}","{KEY.hex()}"\n'])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, content: str) -> None:
    for mode in (0o640, 0o604, 0o660):
        path = written(tmp_path / "k", content, mode)
        with pytest.raises(InputError, match="open to others") as caught:
            Keys.load(path)
        assert caught.value.hint == f"chmod 600 {path}"


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            Keys.load(path)


# Wireshark


def test_tables_of_wireshark_4_2(tmp_path: Path) -> None:
    head = "# This file is automatically generated, DO NOT MODIFY.\n"
    row = f'"{DEV_EUI.hex()}","{KEY.hex()}"\n'
    found = Keys.load(written(tmp_path / "root_keys_lorawan", head + row))
    assert found.devices == (Device("", DEV_EUI, b"", KEY),)
    row = f'"49be7df1","{KEY.hex().upper()}","{OTHER.hex(":")}"\r\n\n'
    found = Keys.load(written(tmp_path / "session_keys_lorawan", head + row))
    assert found.sessions == (Session(0x49BE7DF1, KEY, OTHER),)


def test_the_table_of_wireshark_4_0(tmp_path: Path) -> None:
    # The address and the EUI as they are on the air.
    rows = (
        f'"F17DBE49","{KEY.hex()}","{OTHER.hex()}","0000000000000000"\n'
        f'"00000000","{bytes(16).hex()}","{KEY.hex()}","{JOIN_EUI[::-1].hex()}"\n'
    )
    found = Keys.load(written(tmp_path / "encryption_keys_lorawan", rows))
    assert found.sessions == (Session(0x49BE7DF1, KEY, OTHER),)
    assert found.devices == (Device("", b"", JOIN_EUI, KEY),)
    # A row for a fleet: other keys under the same JoinEUI are no contradiction.
    rows += rows.splitlines()[1].replace(KEY.hex(), OTHER.hex()) + "\n"
    assert len(Keys.load(written(tmp_path / "encryption_keys_lorawan", rows)).devices) == 2


@pytest.mark.parametrize(
    "rows",
    [
        '"49be7df1"\n',
        f'"49be7df1","{KEY.hex()}"\n',
        f'"49be7df1","{KEY.hex()}","{OTHER.hex()}","00"\n',
        f'"49be7dfg","{KEY.hex()}","{OTHER.hex()}"\n',
        f'"49be7df1","{KEY.hex()}","{OTHER.hex()[1:]}"\n',
        f'"49be7df1","{KEY.hex()}',
        f'"é","{KEY.hex()}","{OTHER.hex()}"\n',
        f'"49be7df1","{KEY.hex()}","{OTHER.hex()}"\n"49be7df1","{KEY.hex()}","{KEY.hex()}"\n',
        '"' + "0" * 200_000,
    ],
)
def test_tables_that_are_none(tmp_path: Path, rows: str) -> None:
    with pytest.raises(InputError) as caught:
        Keys.load(written(tmp_path / "t", rows))
    for key in (KEY, OTHER):
        assert key.hex() not in str(caught.value)


def test_several_files_as_one(tmp_path: Path) -> None:
    paths = [
        written(tmp_path / "a.json", of([DEVICE])),
        written(tmp_path / "b.json", of([], [SESSION])),
        written(tmp_path / "c", f'"{bytes(8).hex()}","{OTHER.hex()}"\n'),
    ]
    found = load_keys(paths)
    assert (len(found.devices), len(found.sessions)) == (2, 1)
    paths.append(written(tmp_path / "d.json", of([DEVICE | {"app_key": OTHER.hex()}])))
    with pytest.raises(InputError, match="different keys"):
        load_keys(paths)


@given(
    st.binary(max_size=120), st.sampled_from((b"", b"#\n", b'"', b'{"format": "lanterne-lorawan-keys/1",'))
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_files(tmp_path: Path, data: bytes, head: bytes) -> None:
    path = tmp_path / "k"
    path.write_bytes(head + data)
    path.chmod(0o600)
    try:
        found = Keys.load(path)
    except InputError as e:
        assert "\n" not in str(e)
        return
    assert isinstance(found, Keys)
