"""The bundle builder: what is aboard, what is left out, the same bytes twice, and an interpreter loads it."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools import bundle
from host_tools.bundle import BundleError, build, compile_module, modules

MICROPYTHON = str(Path(sys.executable).with_name("micropython"))
NODES = [k for k in bundle.kinds() if k != "gateway"]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LANTERNE_CACHE", str(tmp_path / "cache"))


def names(role: str, kind: str) -> set[str]:
    return {m.removeprefix("firmware.") for m in modules(role, kind)}


def test_a_node_carries_its_own_kind_only() -> None:
    for kind in NODES:
        aboard = names("node", kind)
        assert {f"kinds.{kind}", f"protocols.schema.{kind}", "protocols.schema.hello", "app"} <= aboard
        for other in set(NODES) - {kind}:
            assert f"kinds.{other}" not in aboard
            assert f"protocols.schema.{other}" not in aboard


def test_a_gateway_carries_no_kind_and_no_reading_keys() -> None:
    aboard = names("gateway", "gateway")
    assert "roles.gateway" in aboard
    assert not {n for n in aboard if n.startswith(("kinds.", "furniture"))}
    # It relays and can make neither a reading nor a command: it has no code for it, either.
    assert not aboard & {"roles.node", "protocols.seal", "protocols.opener", "protocols.ed25519", "counters"}


def test_what_is_for_people_stays_on_the_host() -> None:
    for kind in NODES:
        assert not names("node", kind) & {"protocols.reasons_text", "protocols.schema.reader"}


@pytest.mark.parametrize(
    ("role", "kind"), [("node", "gateway"), ("gateway", "lamp"), ("node", "boat"), ("captain", "lamp")]
)
def test_a_wrong_role_or_kind_is_named(role: str, kind: str) -> None:
    with pytest.raises(BundleError, match=kind if role != "captain" else role):
        modules(role, kind)


def test_the_same_bytes_twice_and_other_bytes_for_another_chip(tmp_path: Path) -> None:
    one = build(tmp_path / "one", "node", "lamp")
    shutil.rmtree(tmp_path / "cache")
    two = build(tmp_path / "two", "node", "lamp")
    assert one.digest == two.digest
    for name in one.files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    chip = build(tmp_path / "chip", "node", "lamp", arch="xtensawin")
    differ = {
        n for n in one.files if (tmp_path / "one" / n).read_bytes() != (tmp_path / "chip" / n).read_bytes()
    }
    native = {n for n in differ if n.endswith(".mpy")}
    # Bytecode is the same everywhere; only files with viper differ.
    assert native
    for name in native:
        source = (bundle.TREE / name).with_suffix(".py").read_text()
        assert "@micropython.viper" in source, name
    assert chip.digest != one.digest


def test_the_digest_stands_in_the_tree_and_covers_it(tmp_path: Path) -> None:
    made = build(tmp_path / "one", "gateway", "gateway")
    assert (tmp_path / "one/bundle").read_bytes() == made.digest
    assert len(made.digest) == 8
    assert build(tmp_path / "two", "gateway", "gateway", mpy=False).digest != made.digest


def test_a_second_build_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    build(tmp_path, "node", "lamp")
    kept = tmp_path / "lamp"
    kept.write_text("5 0")
    build(tmp_path, "gateway", "gateway")
    assert not (tmp_path / "firmware/kinds").exists()
    assert kept.read_text() == "5 0"


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="z80"):
        build(tmp_path, "node", "lamp", arch="z80")


def test_a_syntax_error_is_one_line() -> None:
    with pytest.raises(BundleError, match=r"x\.py does not compile.*SyntaxError"):
        compile_module("def f(:\n", "x.py", "x64")


def test_assertions_are_off_and_line_numbers_on() -> None:
    assert len(compile_module("def f(a):\n    assert a == 12345, 'no'\n", "x.py", "x64")) < len(
        compile_module("def f(a):\n    if a != 12345:\n        raise ValueError('no')\n", "x.py", "x64")
    )


def test_source_trees_hold_no_comment_and_no_docstring(tmp_path: Path) -> None:
    made = build(tmp_path, "node", "lamp", mpy=False)
    assert not any(n.endswith(".mpy") for n in made.files)
    for name in made.files:
        if not name.endswith(".py"):
            continue
        text = (tmp_path / name).read_text()
        tree = ast.parse(text)
        assert "  # " not in text
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                assert ast.get_docstring(node) is None, name


def test_a_schema_is_words_and_no_names(tmp_path: Path) -> None:
    build(tmp_path, "node", "lamp", mpy=False)
    text = (tmp_path / "firmware/protocols/schema/lamp.py").read_text()
    assert "level" not in text
    assert text.startswith("TABLE = b")
    compiled = (tmp_path / "firmware/protocols/schema/lamp.py").stat().st_size
    assert compiled < (bundle.TREE / "firmware/protocols/schema/lamp.py").stat().st_size


_ENCODE = """
import sys
sys.path[:] = ['.', '.frozen']
from firmware.protocols import codec, schema
message = schema.message(2)
values = codec.blank(message)
values[0] = 28000128
values[4] = 75
values[7] = 412
buf = bytearray(60)
print(bytes(buf[:codec.encode_into(buf, 0, message, values)]).hex())
"""


@pytest.mark.parametrize("mpy", [True, False])
def test_a_bundle_encodes_what_the_sources_encode(tmp_path: Path, mpy: bool) -> None:
    """The table that the builder makes is the one that the rows would give."""
    build(tmp_path, "node", "lamp", mpy=mpy)
    (tmp_path / "encode.py").write_text(_ENCODE)
    ran = subprocess.run(
        [MICROPYTHON, "encode.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    # det([2, {0: 28000128, 4: 75, 7: 412}]), written by hand after RFC 8949.
    assert ran.stdout.strip() == "8202a3001a01ab3f8004184b0719019c", ran.stderr


def test_the_command_line_prints_sizes_and_refuses_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundle.main([str(tmp_path / "out"), "gateway", "gateway", "--arch", "x64"]) == 0
    assert "firmware/app.mpy" in capsys.readouterr().out
    assert bundle.main([str(tmp_path / "out"), "node", "gateway"]) == 3
    assert capsys.readouterr().err.startswith("bundle: no node of kind 'gateway'")
