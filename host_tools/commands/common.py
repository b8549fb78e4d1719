"""What every command shares: options, their origin, help in two languages.

A value comes from the command line, else from LANTERNE_<OPTION>, else from lanterne.toml, else from the
default; `--show-config` prints which. In lanterne.toml a name at the top serves every command that has such
an option, a name under [decode] or [keys.new] that command alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from host_tools import output
from host_tools.commands import tree
from host_tools.errors import InputError, UsageError
from host_tools.output import Output, say

ENVIRONMENT = "LANTERNE_"
CONFIG_NAME = "lanterne.toml"


@dataclass
class Settings:
    """Values of the options that are everywhere, and the configuration file in use."""

    config_file: Path | None = None
    config_origin: str = "default"
    config: dict[str, Any] = field(default_factory=dict)
    # Option name -> where its value came from, in words.
    origins: dict[str, str] = field(default_factory=dict)
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    lang: str = "en"
    dry_run: bool = False
    yes: bool = False
    debug: bool = False

    @property
    def output(self) -> Output:
        return Output(self.json, self.quiet, self.verbose)

    def defaults(self, command: click.Command, path: list[str]) -> dict[str, Any]:
        """What lanterne.toml says for a command; relative paths count from the file's folder."""
        names = {p.name: p for p in command.params if p.name}
        section: Any = self.config
        found = {k: v for k, v in self.config.items() if not isinstance(v, Mapping)}
        for part in path:
            section = section.get(part, {}) if isinstance(section, Mapping) else {}
        if path and isinstance(section, Mapping):
            own = {k: v for k, v in section.items() if not isinstance(v, Mapping)}
            for name in own:
                if name.replace("-", "_") not in names:
                    raise UsageError(f"{self.config_file}: [{'.'.join(path)}] has no option {name!r}")
            found |= own
        values = {}
        for name, value in found.items():
            param = names.get(name.replace("-", "_"))
            if param is None or not param.name:
                continue
            many = isinstance(param, click.Option) and param.multiple
            several = value if isinstance(value, list) else [value]
            if isinstance(param.type, click.Path):
                several = [self._beside(v) for v in several]
            values[param.name] = several if many or isinstance(value, list) else several[0]
        return values

    def _beside(self, path: Any) -> Any:
        """A path of the configuration file, counted from where that lies."""
        if not isinstance(path, str) or path == "-":
            return path
        return str((self.config_file or Path()).parent / path)


def config_file(named: str | None, environ: Mapping[str, str]) -> tuple[Path | None, str]:
    """The file to read and who named it: --config, LANTERNE_CONFIG, ./lanterne.toml, the user's own."""
    if named or environ.get("LANTERNE_CONFIG"):
        path = Path(named or environ["LANTERNE_CONFIG"])
        if not path.is_file():
            raise InputError(f"{path}: no such configuration file")
        return path, "command line" if named else "LANTERNE_CONFIG"
    home = environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    for path in (Path(CONFIG_NAME), Path(home) / "lanterne" / CONFIG_NAME):
        if path.is_file():
            return path, "found"
    return None, "default"


def read_config(path: Path, known: frozenset[str]) -> dict[str, Any]:
    """The configuration as nested dicts; a name at the top that no option has is refused by name."""
    import tomllib

    try:
        with path.open("rb") as f:
            config = tomllib.load(f)
    except (OSError, ValueError) as e:
        raise InputError(f"{path}: {e}") from None
    for name, value in config.items():
        if not isinstance(value, Mapping) and name.replace("-", "_") not in known:
            raise UsageError(f"{path}: no command has an option {name!r}")
    return config


class FilePath(click.Path):
    """A path as it is typed. What lies there is looked at by whoever uses it, who has the better words."""

    def __init__(self, name: str = "file") -> None:
        super().__init__()
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value) or "\0" in str(value):
            self.fail(say("an empty name", "un nom vide"), param, ctx)
        return super().convert(value, param, ctx)


FILE = FilePath()
FOLDER = FilePath("folder")


class Option(click.Option):
    """An option with a French help text that LANTERNE_<NAME> and lanterne.toml can set."""

    def __init__(self, *args: Any, fr: str = "", everywhere: bool = False, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.fr = fr
        self.everywhere = everywhere
        if self.envvar is None and self.name:
            self.envvar = ENVIRONMENT + self.name.upper()

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        english, self.help = self.help, say(self.help or "", unbroken(self.fr))
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = english


def unbroken(french: str) -> str:
    """French text in which no line can begin with the sign that follows a space."""
    for sign in ";:?!»":
        french = french.replace(" " + sign, "\u00a0" + sign)
    return french.replace("« ", "«\u00a0")


def option(*declarations: str, **kw: Any) -> Callable[[Any], Any]:
    return click.option(*declarations, cls=Option, **kw)


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Store an everywhere-option: what stands behind the verb wins over what stands before it."""
    settings = ctx.ensure_object(Settings)
    name = param.name or ""
    source = ctx.get_parameter_source(name)
    stronger = source is ParameterSource.COMMANDLINE or (
        source is ParameterSource.DEFAULT_MAP and settings.origins.get(name) == "default"
    )
    if ctx.parent is None or stronger:
        setattr(settings, name, value)
        settings.origins[name] = origin(ctx, name, settings)
        if name == "lang":
            output.set_language(value)
    return value


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        print("lanterne", version("lanterne"))
    except PackageNotFoundError:
        # A clone that was never installed: the version stands in its own pyproject.toml.
        import tomllib

        with Path(__file__).parents[2].joinpath("pyproject.toml").open("rb") as f:
            print("lanterne", tomllib.load(f)["project"]["version"], "(clone)")
    ctx.exit()


def everywhere() -> list[click.Parameter]:
    """The options that every command takes, before or behind the verb."""
    shared: dict[str, Any] = {"expose_value": False, "callback": _keep, "everywhere": True}
    return [
        Option(
            ["--json", "json"],
            is_flag=True,
            help="Results as JSON, one object per line.",
            fr="Résultats en JSON, un objet par ligne.",
            **shared,
        ),
        Option(
            ["-q", "--quiet"],
            is_flag=True,
            help="Results and errors only.",
            fr="Seulement les résultats et les erreurs.",
            **shared,
        ),
        Option(
            ["-v", "--verbose"],
            count=True,
            help="Say more; twice for still more.",
            fr="En dire plus ; deux fois pour encore plus.",
            **shared,
        ),
        Option(
            ["--lang"],
            type=click.Choice(output.LANGUAGES),
            default=output.language,
            is_eager=True,
            help="Language of help and messages (default: the system's).",
            fr="Langue de l'aide et des messages (par défaut : celle du système).",
            **shared,
        ),
        Option(
            ["--dry-run"],
            is_flag=True,
            help="Say what would be done and write nothing.",
            fr="Dire ce qui serait fait et ne rien écrire.",
            **shared,
        ),
        Option(
            ["--yes"],
            is_flag=True,
            help="Answer yes to every question.",
            fr="Répondre oui à toute question.",
            **shared,
        ),
        Option(
            ["--config"],
            metavar="FILE",
            expose_value=False,
            everywhere=True,
            help="Settings file (default: ./lanterne.toml).",
            fr="Fichier de réglages (par défaut : ./lanterne.toml).",
        ),
        Option(
            ["--show-config"],
            is_flag=True,
            expose_value=False,
            everywhere=True,
            help="Show every setting and where it came from, and stop.",
            fr="Montrer chaque réglage et son origine, puis s'arrêter.",
        ),
        Option(
            ["--debug"],
            is_flag=True,
            help="Show the program's own trace on an error.",
            fr="Montrer la trace du programme en cas d'erreur.",
            **shared,
        ),
        Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            everywhere=True,
            callback=_version,
            help="Show the version and stop.",
            fr="Montrer la version et s'arrêter.",
        ),
    ]


def origin(ctx: click.Context, name: str, settings: Settings) -> str:
    """Where a parameter's value came from, in words."""
    param = next(p for p in ctx.command.params if p.name == name)
    source = ctx.get_parameter_source(name)
    if source is ParameterSource.COMMANDLINE:
        return "command line"
    if source is ParameterSource.ENVIRONMENT:
        return str(param.envvar)
    if source is ParameterSource.DEFAULT_MAP:
        return str(settings.config_file)
    return "default"


class _Mixin(click.Command):
    """Help in two languages, shared options under a heading of their own, --show-config."""

    fr: str = ""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        settings = parent.find_object(Settings) if parent else extra.get("obj")
        if isinstance(settings, Settings):
            path = parent.command_path.split()[1:] if parent else []
            extra["default_map"] = settings.defaults(self, [*path, info_name or ""] if parent else [])
        return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = args[: args.index("--")] if "--" in args else args
        if "--show-config" not in own or (isinstance(self, click.Group) and _names_a_sub(self, own)):
            return super().parse_args(ctx, args)
        required = [p for p in self.params if p.required]
        for p in required:
            p.required = False
        try:
            rest = super().parse_args(ctx, args)
        finally:
            for p in required:
                p.required = True
        show_config(ctx)
        ctx.exit()
        return rest

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        pieces = self.collect_usage_pieces(ctx)
        formatter.write_usage(ctx.command_path, " ".join(pieces), prefix=say("Usage: ", "Utilisation : "))

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        english, self.help = self.help, say(self.help or "", unbroken(self.fr))
        try:
            super().format_help_text(ctx, formatter)
        finally:
            self.help = english

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        found = super().get_help_option(ctx)
        if found is not None:
            found.help = say("Show this help and stop.", "Montrer cette aide et s'arrêter.")
        return found

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            # Arguments are explained in the text; click would list their bare names here.
            if isinstance(param, click.Argument):
                continue
            record = param.get_help_record(ctx)
            if record is not None:
                (shared if getattr(param, "everywhere", False) else own).append(record)
        for title, records in ((say("Options", "Options "), own), (say("Everywhere", "Partout "), shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)


def _names_a_sub(group: click.Group, args: list[str]) -> bool:
    return any(a in group.list_commands(click.Context(group)) for a in args)


class Command(_Mixin):
    """A verb. `fr` is its help in French."""

    def __init__(self, *args: Any, fr: str = "", **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.fr = fr
        self.params += everywhere()


class Group(_Mixin, click.Group):
    """A noun with sub-verbs."""

    def __init__(self, *args: Any, fr: str = "", **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.fr = fr
        self.params += everywhere()


def show_config(ctx: click.Context) -> None:
    """Every option of the command with its value and where that came from."""
    settings = ctx.find_object(Settings) or Settings()
    rows: list[MutableMapping[str, object]] = []
    for param in ctx.command.params:
        if not isinstance(param, Option) or not param.name or param.name in ("version", "show_config"):
            continue
        if param.name == "config":
            value: object = settings.config_file
            found = settings.config_origin
        elif param.everywhere:
            value, found = getattr(settings, param.name), settings.origins[param.name]
        else:
            value, found = ctx.params.get(param.name), origin(ctx, param.name, settings)
        shown = list(value) if isinstance(value, tuple) else value
        shown = shown if shown is None or isinstance(shown, (int, float, str, list)) else str(shown)
        rows.append({"option": param.opts[-1], "value": shown, "origin": found})
    settings.output.table(rows, ("option", "value", "origin"))


def command(path: str, more: str = "", more_fr: str = "") -> Callable[[Callable[..., Any]], click.Command]:
    """Decorator: the verb of the tree at `path`, whose function takes the Settings first.

    The first line of its help is the tree's, so that the list of commands and its help say the same.
    """
    entry = tree.find(*path.split())
    assert entry

    def wrap(function: Callable[..., Any]) -> click.Command:
        made: click.Command = click.command(
            entry.name,
            cls=Command,
            help=f"{entry.english}\n\n{more}",
            fr=f"{entry.french}\n\n{more_fr}",
        )(click.make_pass_decorator(Settings)(function))
        return made

    return wrap


def tenant_option(function: Any) -> Any:
    """`--tenant FOLDER`: whose keys and registry."""
    return option(
        "-t",
        "--tenant",
        type=FOLDER,
        required=True,
        help="Folder of the tenant; `tenant = ...` in lanterne.toml saves typing it.",
        fr="Dossier du propriétaire ; `tenant = ...` dans lanterne.toml évite de le taper.",
    )(function)
