"""pyright sees MicroPython's library, not CPython's: what only one of the two has is told apart."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.project import ROOT, read, sources

GOOD = "import asyncio\nimport time\n\n\nasync def f():\n    await asyncio.sleep_ms(5)\n    time.ticks_ms()\n"
BAD = {
    "import asyncio\n\n\nasync def f():\n    async with asyncio.TaskGroup():\n        pass\n": "TaskGroup",
    "import asyncio\n\n\nasync def f():\n    asyncio.sleep_ms(5)\n": "reportUnusedCoroutine",
    "import machine\n\nmachine.Pinn(5)\n": "Pinn",
    "import time\n\ntime.monotonic()\n": "monotonic",
}


@pytest.mark.slow
def test_pyright_bites_on_what_the_board_lacks(tmp_path: Path) -> None:
    config = json.loads(re.sub(r"^\s*//.*$", "", read("pyrightconfig.json"), flags=re.MULTILINE))
    config |= {
        "include": ["."],
        "typeshedPath": str(ROOT / "build/typings"),
        "stubPath": str(ROOT / "build/typings"),
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    (tmp_path / "good.py").write_text(GOOD)
    for n, text in enumerate(BAD):
        (tmp_path / f"bad{n}.py").write_text(text)
    subprocess.run([sys.executable, "-m", "tools.typings"], cwd=ROOT, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "-p", str(tmp_path), "--outputjson"],
        capture_output=True,
        text=True,
        check=False,
    )
    said: dict[str, str] = {}
    for found in json.loads(done.stdout)["generalDiagnostics"]:
        name = Path(found["file"]).name
        said[name] = said.get(name, "") + found["message"] + found.get("rule", "")
    assert "good.py" not in said
    for n, word in enumerate(BAD.values()):
        assert word in said.get(f"bad{n}.py", ""), (n, said)


IGNORE = re.compile(r"#\s*(?:pyright|type):\s*ignore")
REASONED = re.compile(r"#\s*(?:pyright|type): ignore\[[A-Za-z-]+(?:, [A-Za-z-]+)*\]\s+[-#]\s*\S+")


@pytest.mark.parametrize("path", sources("firmware"))
def test_every_ignore_names_its_rule_and_its_reason(path: str) -> None:
    for line in read(path).splitlines():
        assert not IGNORE.search(line) or REASONED.search(line), line


def test_there_are_few_ignores() -> None:
    assert sum(len(IGNORE.findall(read(path))) for path in sources("firmware")) <= 20
