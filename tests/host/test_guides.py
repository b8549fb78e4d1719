"""The guides for people who begin: every command that one shows runs as it stands there."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from firmware.kinds import cabinet
from host_tools import sim
from tests.conftest import ROOT
from tests.host.page_bench import CODE, FENCE, blocks, commands, linked, prints, run, section, shown
from tools import pictures_furniture

SVG = "{http://www.w3.org/2000/svg}"
GUIDES = {p.stem: p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs/guides").glob("*.md"))}
WITH_COMMANDS = [name for name, text in GUIDES.items() if blocks(text, "sh run")]


@pytest.mark.parametrize("name", GUIDES)
def test_every_command_stands_in_a_block_that_is_run(name: str) -> None:
    run = {line for block in blocks(GUIDES[name], "sh run") for line in block}
    assert [line for line in commands(GUIDES[name]) if line not in run] == []


def test_the_guide_of_the_cabinet_has_something_to_try() -> None:
    assert "cabinet" in WITH_COMMANDS


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_the_commands_run_as_they_stand_there_and_print_what_is_shown(name: str, tmp_path: Path) -> None:
    said = run(GUIDES[name], linked(tmp_path))
    pages = shown(GUIDES[name])
    assert pages
    for command, lines in pages:
        assert prints(lines, said[command]), said[command]
    printed = said[pages[-1][0]]
    words = CODE.findall(FENCE.sub("", section(GUIDES[name], "Try it")))
    at = 0
    for word in words:
        if word.startswith("demo-out/"):
            assert (tmp_path / word).is_file()
        elif "=" in word:
            at = printed.find(word, at)
            assert at >= 0, f"{word}, in this order"
        elif re.fullmatch(r"[a-z]+(_[a-z]+)+", word):
            assert f" {word}=" in printed
    if name == "bin":
        levels = re.findall(r" fill_percent=(\d+)", printed)
        assert f"{', '.join(levels[:-1])} and {levels[-1]} %" in GUIDES[name]
        assert all(int(b) - int(a) > 5 for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("bin", [" fill_percent=", " distances_m=["]),
        (
            "cabinet",
            [
                " contactor=on target=on reason=default ",
                " contactor=off target=off reason=program power_w=8 ",
            ],
        ),
        ("lamp", [" level_percent=0 ", " reason=program "]),
        ("leak", [" hourly_l_per_h=[", " index_m3="]),
    ],
)
def test_what_matters_is_in_the_output_that_is_shown(name: str, lines: list[str]) -> None:
    [(_, text)] = shown(GUIDES[name])
    at = [next((n for n, line in enumerate(text) if words in line), -1) for words in lines]
    assert min(at) > 0 and (name != "cabinet" or at[0] < at[1])


def test_the_cabinet_guide_has_every_setting_and_what_the_board_takes_without_it() -> None:
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", GUIDES["cabinet"], re.MULTILINE)
    usual: dict[str, str] = {}
    for names, values in rows:
        found = re.findall(r"`(\w+)`", names)
        usual |= dict(zip(found, values.split(", ") * len(found), strict=False))
    assert set(sim.SETTINGS["cabinet"]) <= set(usual)
    text = " ".join((cabinet.__doc__ or "").split())
    for name, said in (
        ("on_s", "s (60)"),
        ("idle_w", "W (50)"),
        ("low_v", "V (207, 253)"),
        ("dark_lux", "(35)"),
    ):
        assert usual[name] in said and said in text, name


@pytest.mark.parametrize("name", pictures_furniture.PICTURES)
def test_a_picture_is_fresh_fetches_nothing_and_shows_what_the_guides_say(name: str) -> None:
    text = (pictures_furniture.FOLDER / name).read_text(encoding="utf-8")
    assert text == pictures_furniture.PICTURES[name](), "python -m tools.pictures_furniture"
    root = ET.fromstring(text)
    assert not re.search(r"url\(h|href|@import|<script", text)
    curves = [e.attrib["d"] for e in root.iter(SVG + "path") if e.attrib.get("class") == "c"]
    words = [e.text for e in root.iter(SVG + "text")]
    if name.startswith("plan"):
        # The lamp's table lies on the evaluator's curve; the sun of the two differs by less than a pixel.
        assert len(curves) == 4
        for a, b in zip(curves[::2], curves[1::2], strict=True):
            points = [[float(x) for x in re.findall(r"[\d.]+", d)] for d in (a, b)]
            assert len(points[0]) == len(points[1]) > 8
            assert max(abs(x - y) for x, y in zip(*points, strict=True)) < 1
    marks = {"leak.svg": {"leak suspected", "leak detected"}, "bin.svg": {"full", "emptied"}}
    assert marks.get(name, set()) <= set(words)
