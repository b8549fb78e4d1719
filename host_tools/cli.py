"""The `lanterne` command: finds the verb, runs it, turns every way out into one line and an exit code.

Only click and the table of the command tree are imported before a verb is known, so that help comes at once.
"""

from __future__ import annotations

import errno
import io
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
    "since until format loratap explain strict hours sink loss append faults seed tenant name lab clear_link "
    "profile eui asset role speed loop gateway report secret_file secret_env ca rotate keep view".split()
)

# A noun without its sub-verb; click before 8.2 shows the help and has no such error.
_NO_VERB: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())

ABOUT = """Open firmware and host tools for connected street furniture.

Boards in lamps, bins and pipes send signed readings; lanterne captures them, verifies them, decodes them, and
runs the very same firmware on virtual boards.

Try: lanterne sim run demo -o out, then lanterne decode out/capture.pcap --keys out/keys.json"""
ABOUT_FR = """Micrologiciel et outils ouverts pour le mobilier urbain connecté.

Des cartes dans les lampes, corbeilles et conduites envoient des mesures signées ; lanterne les capture, les
vérifie, les décode, et fait tourner le même micrologiciel sur des cartes virtuelles.

Essayez : lanterne sim run demo -o sortie, puis lanterne decode sortie/capture.pcap --keys sortie/keys.json"""


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = str(args[0])
        # What begins with a dash is an option that click does not know and says so.
        if name[:1].isalnum() and self.get_command(ctx, name) is None:
            raise _unknown(ctx, name, self.entries)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = tree.SECTIONS if any(e.section for e in self.entries) else (("", ""),)
        for english, french in sections:
            rows = [(e.name, self._row(e)) for e in self.entries if e.section == english]
            with formatter.section(say(english, french + " ") if english else say("Commands", "Commandes ")):
                formatter.write_dl(rows)

    @staticmethod
    def _row(entry: tree.Entry) -> str:
        return _line(entry) + (
            "" if tree.built(entry) else say(" (not built yet)", " (pas encore construit)")
        )


def _unknown(ctx: click.Context, name: str, entries: tuple[tree.Entry, ...]) -> click.UsageError:
    """The error for a verb that is none, with those that were perhaps meant."""
    from difflib import get_close_matches

    near = [f"{e.name} {s.name}" for e in entries for s in e.subs if s.name == name and s.module]
    near = near or get_close_matches(name, [e.name for e in entries], 2)
    line = say(f"no command {name!r}", f"aucune commande {name!r}")
    if near:
        meant = say(" or ", " ou ").join(f"`{ctx.command_path} {n}`" for n in near)
        line += say(f"; did you mean {meant}?", f" ; peut-être {meant} ?")
    return click.UsageError(line, ctx)


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
        return ending(e, "--json" in arguments, debug)


def ending(error: BaseException, as_json: bool = False, debug: bool = False) -> int:
    """The exit code for what ended a run, and one line that says so."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else output.DEFECT
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has seen enough (`| head`).
        output.let_go()
        return output.DONE
    code, message, hint = describe(error)
    try:
        if debug:
            import traceback

            traceback.print_exception(error)
        if isinstance(error, _NO_VERB) and error.ctx is not None:
            print(error.ctx.get_help(), file=sys.stderr)
        if as_json:
            print(output.to_json({"error": message, "hint": hint, "exit": code}), file=sys.stderr)
        else:
            output.error_line(message, hint)
        sys.stderr.flush()
    except OSError:
        # Nobody can be told; the exit code still tells.
        output.let_go()
    if isinstance(error, OSError):
        output.let_go()
    return code


def describe(error: BaseException) -> tuple[int, str, str]:
    """(exit code, one line, hint) of an exception."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return output.INTERRUPTED, str(error) or say("interrupted", "interrompu"), ""
    if isinstance(error, _NO_VERB):
        return output.USAGE, say("a sub-command is missing", "il manque une sous-commande"), ""
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "lanterne"
        return output.USAGE, _usage(error), say(f"see: {path} --help", f"voir : {path} --help")
    if isinstance(error, ToolError):
        return error.exit_code, str(error), error.hint
    if isinstance(error, io.UnsupportedOperation):
        return output.STORE_REFUSED, say("standard output is closed", "la sortie standard est fermée"), ""
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        code = output.STORE_REFUSED if full else output.UNREADABLE
        if full and not error.filename:
            return code, say("standard output: the disk is full", "sortie standard : le disque est plein"), ""
        where = f"{error.filename}: " if error.filename else ""
        return code, where + (error.strerror or str(error)), ""
    return (
        output.DEFECT,
        say("a defect of lanterne itself", "un défaut de lanterne") + f": {type(error).__name__}: {error}",
        say(
            "run again with --debug and report what it prints",
            "relancer avec --debug et signaler l'affichage",
        ),
    )


def _usage(error: click.UsageError) -> str:
    """What is wrong with a command line; click itself speaks English only."""
    if output.language() == "en" or error.ctx is None:
        return error.format_message()
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"il manque {error.param.get_error_hint(error.ctx)}"
    if isinstance(error, click.NoSuchOption):
        near = f" ; peut-être {', '.join(error.possibilities)} ?" if error.possibilities else ""
        return f"aucune option {error.option_name}{near}"
    if isinstance(error, click.BadParameter) and error.param is not None:
        where = error.param.get_error_hint(error.ctx)
        if isinstance(error.param.type, click.Choice):
            return f"valeur refusée pour {where} : possibles {', '.join(error.param.type.choices)}"
        return f"valeur refusée pour {where} : {error.message}"
    return error.format_message()


def ready_streams() -> None:
    """Make the standard streams fit to be written to, whoever started this program in whatever way."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file that is opened takes this place, and a child's output ends up in it.
            os.open(os.devnull, os.O_RDWR)
    # typeshed does not know that a closed stream is None.
    streams: dict[str, Any] = {"stdout": sys.stdout, "stderr": sys.stderr}
    for name, stream in streams.items():
        if stream is None:
            setattr(sys, name, open(os.devnull, "w" if name == "stderr" else "r"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            # A terminal that lacks a letter shows its number.
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """Entry point of the installed command."""
    ready_streams()
    # A terminated run ends like an interrupted one: files are closed, what was received is kept.
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
