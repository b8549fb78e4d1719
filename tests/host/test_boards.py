"""hw/boards: generated constants are fresh, no pin is used twice, partitions fit, bad files are refused."""

import csv
import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from tools import gen_boards

BOARDS = gen_boards.names()


def test_generated_files_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert gen_boards.main(["--check"]) == 0
    assert capsys.readouterr().out == ""
    assert len(BOARDS) >= 3


def test_check_tells_a_stale_and_a_leftover_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(gen_boards.OUT, tmp_path / "out")
    monkeypatch.setattr(gen_boards, "OUT", tmp_path / "out")
    monkeypatch.setattr(gen_boards, "ROOT", tmp_path)
    (tmp_path / "out" / f"{BOARDS[0]}.py").write_text("SPI = 0\n")
    (tmp_path / "out" / "gone.py").write_text("SPI = 0\n")
    assert gen_boards.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "is stale" in said and "gone.py has no board" in said
    assert gen_boards.main([]) == 0
    assert (tmp_path / "out" / f"{BOARDS[0]}.py").read_text() == gen_boards.render(BOARDS[0])
    assert gen_boards.main(["--wrong"]) == 2


@pytest.mark.parametrize("name", BOARDS)
def test_constants(name: str) -> None:
    board: Any = importlib.import_module(f"firmware.boards.{name}")
    used = [*board.SPI[1:], *board.RADIO, *board.UART[1:], board.PULSE, board.DIM[0], board.RELAY[0]]
    used += [board.SUPPLY[0], board.LED[0], board.VEXT[0], board.BUTTON]
    used = [pin for pin in used if pin >= 0]
    assert len(set(used)) == len(used)
    assert not set(used) & set(board.TAKEN)
    assert board.SUPPLY[0] not in board.ADC2
    # A strapping pin may only be what the maker soldered there.
    assert set(used) & set(board.STRAPPING) <= {board.BUTTON, board.SPI[1], board.SPI[3]}
    assert not {board.DIM[0], board.RELAY[0], board.VEXT[0], board.UART[1]} & set(board.INPUT_ONLY)
    # Fail on: the level of an undriven pin is full light, and mains on.
    assert board.DIM[1] == 0 and board.RELAY[1] == 0


@pytest.mark.parametrize("name", BOARDS)
def test_page_states_what_the_rules_ask_for(name: str) -> None:
    text = (gen_boards.BOARDS / name / "board.md").read_text(encoding="utf-8")
    for word in ("Hardware default", "Not tried", "Sources"):
        assert word in text, word
    for leg, gpio in gen_boards.read_pins(gen_boards.BOARDS / name / "pins.csv").items():
        if leg in ("DIM", "RELAY", "PULSE", "UART1_TX", "UART1_RX"):
            assert f"GPIO{gpio}" in text, leg


def size(text: str) -> int:
    factor = {"K": 1024, "M": 1 << 20}.get(text[-1].upper())
    return int(text[:-1]) * factor if factor else int(text, 0)


@pytest.mark.parametrize("name", BOARDS)
def test_partitions(name: str) -> None:
    """Aligned, without overlap, within the flash; what the firmware looks for is there."""
    rows: dict[str, tuple[str, str, int, int]] = {}
    with (gen_boards.BOARDS / name / "partitions.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file, skipinitialspace=True):
            if row and not row[0].startswith("#"):
                rows[row[0]] = (row[1], row[2], size(row[3]), size(row[4]))
    flash_mb = 8 if name.startswith("heltec") else 4
    end = 0x9000
    for label, (_, subtype, offset, length) in sorted(rows.items(), key=lambda r: r[1][2]):
        assert offset >= end, label
        assert offset % (0x10000 if subtype == "factory" else 0x1000) == 0, label
        end = offset + length
    assert end <= flash_mb << 20
    assert rows["nvs"][3] == 24 * 1024
    assert rows["factory"][3] >= 0x1F0000 or flash_mb == 4
    for label in ("vfs", "store"):
        assert rows[label][0] == "data" and rows[label][3] >= 512 * 1024
    # 20,000 frames of 37 bytes and 14 more each.
    assert rows["buffer"][3] >= 20_000 * 51


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("PULSE,GPIO9", "is both LORA_SCK and PULSE"),
        ("PULSE,GPIO45", "a strapping pin"),
        ("PULSE,GPIO27", "which the flash uses"),
        ("PULSE,GPIO49", "which does not exist"),
        ("PULSE,7", "want NAME,GPIOn"),
        ("DIM,GPIO6", "DIM is there twice"),
        ("DALI_TX,GPIO38", "DALI_TX is in pins.csv, too"),
    ],
)
def test_bad_pins_are_refused(line: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "heltec_wifi_lora_32_v3"
    shutil.copytree(gen_boards.BOARDS / name, tmp_path / name)
    pins = tmp_path / name / "pins.csv"
    pins.write_text(pins.read_text().replace("PULSE,GPIO7", line))
    monkeypatch.setattr(gen_boards, "BOARDS", tmp_path)
    with pytest.raises(gen_boards.BoardError, match=error):
        gen_boards.render(name)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('mcu = "esp32s3"', 'mcu = "z80"', "unknown microcontroller"),
        ('ONEWIRE = "PULSE"', "ONEWIRE = 3", "which is no pin for it"),
        ('ONEWIRE = "PULSE"', 'LASER = "PULSE"', "nothing asks for LASER"),
        ('ONEWIRE = "PULSE"', "ANALOG = 12", "ANALOG is not on ADC1"),
        ("{ parts = {} }", '{ parts = "" }', "names no parts"),
        ("[lamp]", "[light]", "hardware default"),
        ("upper_ohm = 100_000", "upper_ohm = 300_000", "ratio of the supply divider"),
    ],
)
def test_bad_descriptions_are_refused(
    old: str, new: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "lilygo_t3_s3"
    shutil.copytree(gen_boards.BOARDS / name, tmp_path / name)
    board = tmp_path / name / "board.toml"
    board.write_text(board.read_text().replace(old, new))
    monkeypatch.setattr(gen_boards, "BOARDS", tmp_path)
    with pytest.raises(gen_boards.BoardError, match=error):
        gen_boards.render(name)


def test_battery_on_adc2_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "lilygo_t3_s3"
    shutil.copytree(gen_boards.BOARDS / name, tmp_path / name)
    pins = tmp_path / name / "pins.csv"
    pins.write_text(pins.read_text().replace("VBAT,GPIO1", "VBAT,GPIO12"))
    monkeypatch.setattr(gen_boards, "BOARDS", tmp_path)
    with pytest.raises(gen_boards.BoardError, match="not on ADC1"):
        gen_boards.render(name)
