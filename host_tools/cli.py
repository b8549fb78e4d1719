"""The `lanterne` command: finds the verb, runs it, turns every way out into one line and an exit code.

Only click and the table of the command tree are imported before a verb is known, so that help comes at once.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Any

import click

from host_tools import output
from host_tools.commands import tree
from host_tools.commands.common import Command, Group, Settings, config_file, read_config
from host_tools.errors import ToolError
from host_tools.output import say

# Every option name of the tree that lanterne.toml may set at its top; a test compares it with the commands.
OPTION_NAMES = frozenset(
    "json quiet verbose lang dry_run yes debug out keys store commander seconds where device kind status "
    "since until format explain strict hours sink loss append faults seed tenant name lab clear_link profile "
    "eui asset role".split()
)

ABOUT = """Open firmware and host tools for connected street furniture.

Boards in lamps, bins and pipes send signed readings; lanterne captures them, verifies them, decodes them, and
runs the very same firmware on virtual boards.

Try: lanterne sim run demo -o out, then lanterne decode out/capture.pcap --keys out/keys.json"""
ABOUT_FR = """Micrologiciel et outils ouverts pour le mobilier urbain connecté.

Des cartes dans les lampes, corbeilles et conduites envoient des mesures signées ; lanterne les capture, les
vérifie, les décode, et fait tourner le même micrologiciel sur des cartes virtuelles.

Essayez : lanterne sim run demo -o out, puis lanterne decode out/capture.pcap --keys out/reader.json"""


class _NotBuilt(Command):
    """A command of the tree that this version lacks: takes anything, does nothing, says so."""

    def __init__(self, entry: tree.Entry) -> None:
        super().__init__(
            entry.name,
            help=f"{entry.english}\n\nNot built yet in this version.",
            fr=f"{entry.french}\n\nPas encore construit dans cette version.",
            context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        )
        self.entry = entry

    def invoke(self, ctx: click.Context) -> Any:
        said = say("not built yet", "pas encore construit")
        output.error_line(f"{ctx.command_path.partition(' ')[2]}: {said}: {_line(self.entry)}")
        ctx.exit(output.USAGE)


def _line(entry: tree.Entry) -> str:
    return say(entry.english, entry.french)


class _Tree(Group):
    """A group whose commands come from the table and are imported when they are used."""

    def __init__(self, name: str, entries: tuple[tree.Entry, ...], **kw: Any) -> None:
        super().__init__(name, **kw)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [e.name for e in self.entries]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = next((e for e in self.entries if e.name == cmd_name), None)
        if entry is None:
            return None
        if entry.subs:
            return _Tree(entry.name, entry.subs, help=entry.english, fr=entry.french)
        if not entry.module:
            return _NotBuilt(entry)
        from importlib import import_module

        module = import_module("host_tools.commands." + entry.module)
        found: click.Command = module.COMMANDS[cmd_name]
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = tree.SECTIONS if any(e.section for e in self.entries) else (("", ""),)
        for english, french in sections:
            rows = [(e.name, self._row(e)) for e in self.entries if e.section == english]
            with formatter.section(say(english, french) or say("Commands", "Commandes")):
                formatter.write_dl(rows)

    @staticmethod
    def _row(entry: tree.Entry) -> str:
        return _line(entry) + (
            "" if tree.built(entry) else say(" (not built yet)", " (pas encore construit)")
        )


def root() -> click.Group:
    """The command `lanterne` itself, made anew so that nothing of one run is left for the next."""
    return _Tree(
        "lanterne",
        tree.TREE,
        help=ABOUT,
        fr=ABOUT_FR,
        invoke_without_command=True,
        callback=click.pass_context(_bare),
    )


def _bare(ctx: click.Context) -> None:
    """A noun without its sub-verb is an error; who types the bare name of the program asks what it does."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def _early(arguments: list[str], name: str) -> str | None:
    """The value of one option before anything is parsed: help needs the language, options their defaults."""
    found = None
    for n, word in enumerate(arguments):
        if word == "--":
            break
        if word == name and n + 1 < len(arguments):
            found = arguments[n + 1]
        elif word.startswith(name + "="):
            found = word.partition("=")[2]
    return found


def _settings(arguments: list[str]) -> Settings:
    path, named_by = config_file(_early(arguments, "--config"), os.environ)
    settings = Settings(config_file=path, config_origin=named_by)
    if path:
        settings.config = read_config(path, OPTION_NAMES)
    language = _early(arguments, "--lang") or os.environ.get("LANTERNE_LANG") or settings.config.get("lang")
    output.set_language(str(language or output.default_language(os.environ)))
    return settings


def run(arguments: list[str]) -> int:
    """Run one command line in this process and return its exit code; errors of every kind leave here."""
    debug = "--debug" in arguments or bool(os.environ.get("LANTERNE_DEBUG"))
    try:
        settings = _settings(arguments)
        top = root()
        if "_LANTERNE_COMPLETE" in os.environ:
            return int(top.main(arguments, "lanterne", standalone_mode=False) or output.DONE)
        with top.make_context("lanterne", arguments, obj=settings) as ctx:
            code = top.invoke(ctx)
        sys.stdout.flush()
        return code if isinstance(code, int) else output.DONE
    except BaseException as e:
        if debug and not isinstance(e, (click.exceptions.Exit, SystemExit, BrokenPipeError)):
            import traceback

            traceback.print_exc()
        return _ending(e, "--json" in arguments)


def _ending(error: BaseException, as_json: bool) -> int:
    """The exit code for what ended a run, and one line that says so."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else output.DEFECT
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has seen enough (`| head`). The interpreter flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return output.DONE
    code, message, hint = describe(error)
    if as_json:
        print(output.to_json({"error": message, "hint": hint, "exit": code}), file=sys.stderr)
    else:
        output.error_line(message, hint)
    return code


def describe(error: BaseException) -> tuple[int, str, str]:
    """(exit code, one line, hint) of an exception."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return output.INTERRUPTED, str(error) or say("interrupted", "interrompu"), ""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.ctx.get_help() if error.ctx else "", file=sys.stderr)
        return output.USAGE, say("a sub-command is missing", "il manque une sous-commande"), ""
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "lanterne"
        return output.USAGE, error.format_message(), say(f"see: {path} --help", f"voir : {path} --help")
    if isinstance(error, ToolError):
        return error.exit_code, str(error), error.hint
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        code = output.STORE_REFUSED if full else output.UNREADABLE
        return code, where + (error.strerror or str(error)), ""
    return (
        output.DEFECT,
        say("a defect of lanterne itself", "un défaut de lanterne") + f": {type(error).__name__}: {error}",
        say(
            "run again with --debug and report what it prints",
            "relancer avec --debug et signaler l'affichage",
        ),
    )


def main() -> None:
    """Entry point of the installed command."""
    # A terminated run ends like an interrupted one: files are closed, what was received is kept.
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
