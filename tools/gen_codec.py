"""Codecs for other people's software: the field table -> codecs/lanterne.js, .lua and a device repository.

usage: python -m tools.gen_codec [--check]

`--check` writes nothing and fails when a file is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from firmware.protocols import cose, ports, schema
from firmware.protocols.schema import reader
from firmware.protocols.seqspace import MAX_SEQ
from host_tools.rows import WIRE_EPOCH_UNIX
from tools import gen_wire
from tools.codec_repository import repository
from tools.codec_table import by_port, link_refusals, names, refusals, table, words

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "codecs"

#: The longest FRMPayload that a data rate of LoRaWAN has room for.
MAX_DOWNLINK = 242
#: What The Things Stack takes for one script.
MAX_SCRIPT = 40960
NUMBERS = {
    "PAD": schema.PAD,
    "MAX_COUNT": schema.MAX_COUNT,
    "MAX_ITEMS": reader._MAX_ITEMS,
    "MAX_FRAME": cose.MAX_FRAME,
    "MAX_DOWNLINK": MAX_DOWNLINK,
    "MAX_SEQ": MAX_SEQ,
    "WIRE_EPOCH": WIRE_EPOCH_UNIX,
}


def wrapped(pieces: list[str], indent: int, width: int = 110) -> str:
    """Pieces separated by commas on lines of at most `width`."""
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1]) + len(piece) + indent + 3 > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + piece + ","
    text = "\n".join(" " * indent + line for line in lines)
    return text.removesuffix(",")


def javascript() -> str:
    """codecs/lanterne.js."""
    types = []
    for number, (kind, _) in schema.TYPES.items():
        rows = [f"{key}: {json.dumps(list(row[:6]))}" for key, row in table(number).items()]
        lengths = json.dumps([n for n in schema.message(number)[3:5] if n])
        types.append(f'    {number}: ["{kind}", {lengths}, {{\n{wrapped(rows, 6)}\n    }}]')
    parts = {
        "TYPES": ",\n".join(types),
        "WORDS": ",\n".join(
            f'    "{name}": [\n{wrapped(_quoted(w), 6)}\n    ]' for name, w in words().items()
        ),
        "UP": _js(by_port(ports.UP)),
        "DOWN": _js(by_port(ports.DOWN)),
        "NAMES": wrapped([f'{n}: "{name}"' for n, name in names().items()], 4),
        "REFUSALS": ",\n".join(f"    {name}: {json.dumps(text)}" for name, text in refusals().items()),
    }
    return filled("js", parts)


def lua() -> str:
    """codecs/lanterne.lua."""
    types = []
    for number, (kind, _) in schema.TYPES.items():
        rows = [f"[{key}] = {{ {json.dumps(list(row))[1:-1]} }}" for key, row in table(number).items()]
        lengths = ", ".join(str(n) for n in schema.message(number)[3:5] if n)
        types.append(f'  [{number}] = {{ "{kind}", {{ {lengths} }}, {{\n{wrapped(rows, 4)},\n  }} }},')
    parts = {
        "TYPES": "\n".join(types),
        "WORDS": "\n".join(
            f'  ["{name}"] = {{\n{wrapped(_quoted(w), 4)},\n  }},' for name, w in words().items()
        ),
        "UP": _lua(by_port(ports.UP)),
        "DOWN": _lua(by_port(ports.DOWN)),
        "NAMES": wrapped([f'[{n}] = "{name}"' for n, name in names().items()], 2) + ",",
        "OPS": _lua({number: name for number, name, _ in gen_wire.OPS}),
        "REFUSALS": "\n".join(f"  {n} = {json.dumps(t)}," for n, t in link_refusals().items()),
    }
    return filled("lua", parts)


def _quoted(items: list[str]) -> list[str]:
    return [json.dumps(item) for item in items]


def _js(found: Mapping[int, str]) -> str:
    return "{ " + ", ".join(f'{n}: "{name}"' for n, name in found.items()) + " }"


def _lua(found: Mapping[int, str]) -> str:
    return "{\n" + wrapped([f'[{n}] = "{name}"' for n, name in found.items()], 2) + ",\n}"


def filled(language: str, parts: Mapping[str, str]) -> str:
    """The templates of a language with their parts put in."""
    inner = (ROOT / f"tools/codec_cose.{language}.in").read_text(encoding="utf-8").rstrip("\n")
    text = (ROOT / f"tools/codec.{language}.in").read_text(encoding="utf-8").replace("@COSE@", inner)
    for name, part in {**{k: str(v) for k, v in NUMBERS.items()}, **parts}.items():
        text = text.replace(f"@{name}@", part)
    return text


def files() -> Iterator[tuple[Path, str]]:
    script = javascript()
    if len(script.encode()) > MAX_SCRIPT:
        raise AssertionError(f"lanterne.js has {len(script.encode())} bytes, {MAX_SCRIPT} is the most")
    yield OUT / "lanterne.js", script
    yield OUT / "lanterne.lua", lua()
    for name, text in repository(script):
        yield OUT / "device-repository" / name, text


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` say which are stale. Returns the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = []
    wanted = dict(files())
    for path in sorted((OUT / "device-repository").rglob("*.*")):
        if path.is_file() and path not in wanted:
            stale.append(str(path.relative_to(ROOT)))
            if not arguments:
                path.unlink()
    for path, text in wanted.items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if arguments and stale:
        print(f"stale: {', '.join(stale)}; run python -m tools.gen_codec", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
