"""Runs codecs/lanterne.js as network servers do, and says what the host's own decoder makes of the same bytes.

Node stands for The Things Stack (goja, no modules, the wrapper of its uplink processor), QuickJS for ChirpStack
v4, which evaluates the script and then one call, with `recvTime` as a Date and `variables`, and stops it in time.
"""

from __future__ import annotations

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

from firmware.protocols import ports
from firmware.protocols.cbor import WireError
from host_tools import rows, verdict
from tests.conftest import absent, peer

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "codecs/lanterne.js"
#: Pinned: .ci/run installs these.
PACKAGES = {"quickjs-emscripten": "0.32.0", "acorn": "8.19.0"}

_NODE = """
const fs = require('fs'), vm = require('vm');
const { script, calls } = JSON.parse(fs.readFileSync(0));
const run = new vm.Script(script + `
  ;function main(name, input) {
    const calls = { normalizeUplink, encodeDownlink, decodeDownlink, decodeUplink };
    if (name !== 'uplink') { return calls[name](input); }
    const decoded = decodeUplink({ bytes: input.bytes.slice(), fPort: input.fPort });
    const { data, errors } = decoded;
    return { decoded, normalized: (!errors || !errors.length) && data ? normalizeUplink({ data }) : null };
  }`);
const context = vm.createContext({});
run.runInContext(context, { timeout: 1000 });
const out = calls.map(([name, input]) => vm.runInContext(
  'JSON.stringify(main(' + JSON.stringify(name) + ',' + (input === undefined ? '' : JSON.stringify(input)) + '))',
  context, { timeout: 1000 }));
process.stdout.write('[' + out.join(',\\n') + ']');
"""

_QUICKJS = """
const fs = require('fs');
const { getQuickJS, shouldInterruptAfterDeadline } = require('quickjs-emscripten');
const { script, calls } = JSON.parse(fs.readFileSync(0));
getQuickJS().then((engine) => {
  const out = [];
  const context = engine.newContext();
  const evaluate = (code) => {
    context.runtime.setInterruptHandler(shouldInterruptAfterDeadline(Date.now() + 1000));
    return context.unwrapResult(context.evalCode(code)).consume((h) => context.dump(h));
  };
  evaluate(script);
  for (const [name, input] of calls) {
    const more = name === 'decodeUplink' ? ', "recvTime": new Date(0), "variables": {"name": "x"}}' : '}';
    out.push(evaluate('JSON.stringify(' + name + '(' + JSON.stringify(input).replace(/}$/, more) + '))'));
  }
  process.stdout.write('[' + out.join(',\\n') + ']');
});
"""

Call = tuple[str, Any]


def modules(package: str) -> Path:
    """The folder of npm packages that has one of the peers; without it the test skips by name."""
    places = [
        ROOT / "build/peers/node_modules",
        *(Path(p) for p in os.environ.get("NODE_PATH", "").split(":") if p),
    ]
    home = next((p for p in places if (p / package).is_dir()), None)
    if home is None:
        absent(f"npm package {package} (npm install --prefix build/peers {package}@{PACKAGES[package]})")
    return home


def node(program: str, given: Any, *, package: str = "") -> str:
    """The output of a program under Node that reads JSON from its standard input."""
    env = dict(os.environ)
    if package:
        env["NODE_PATH"] = str(modules(package))
    done = subprocess.run(
        [peer("node"), "-e", program],
        input=json.dumps(given, default=float),
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def call(calls: list[Call], engine: str = "node") -> list[Any]:
    """What the script answers to each (function, input); decimals come back as they were printed."""
    given = {"script": SCRIPT.read_text(encoding="utf-8"), "calls": calls}
    text = node(_NODE, given) if engine == "node" else node(_QUICKJS, given, package="quickjs-emscripten")
    found: list[Any] = json.loads(text, parse_float=Decimal)
    return found


def uplink(port: int, frame: bytes) -> Call:
    return "decodeUplink", {"bytes": list(frame), "fPort": port}


_STRUCTURES = {16: "encrypt0", 17: "mac0", 18: "sign1"}
_PURPOSES = {0: "reading", 1: "checkpoint", 3: "result"}


def by_host(port: int, frame: bytes) -> tuple[str, dict[str, Any]]:
    """(reason, data) as host_tools/verdict.py and rows.py have it, in the form that a codec gives."""
    parsed = verdict.message(port, ports.UP, frame, None)
    if parsed.reason:
        return parsed.reason, {}
    data: dict[str, Any] = {"trust": "unverified", "purpose": _PURPOSES[parsed.purpose]}
    if parsed.part is not None:
        number, index, last = parsed.part
        values: Any = {"number": number, "index": index, "last": last, "part": parsed.body.hex()}
        return "", {**data, "type": "fragment", "values": values}
    data |= {"structure": _STRUCTURES[parsed.kind], "piv": parsed.piv}
    if parsed.kind == 16:
        return "", {**data, "sealed": parsed.body.hex()}
    try:
        content = verdict.read(parsed.purpose, parsed.body)
    except WireError as e:
        return str(e.args[0]), {}
    if content.reason:
        return content.reason, {}
    data["type"] = content.type
    if not content.number:
        return "", {**data, "values": rows.plain(content.fields)[0]}
    data["values"] = rows.in_words(content.number, content.fields)[0]
    for name, clock in (("time", "confirmed"), ("time_unconfirmed", "unconfirmed")):
        if name in content.fields:
            data |= {"time": rows.wire_utc(content.fields[name]), "clock": clock}
    return "", data
