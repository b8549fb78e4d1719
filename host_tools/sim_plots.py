"""The picture of a virtual run: what the boards reported beside what was so, as one SVG page.

Reported curves come from the rows that the receiver verified, true ones from the models that the boards drove
and from the scenario's own lines. Nights are those of the second evaluator (`host_tools.schedule.sun`).
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host_tools.output import say
from host_tools.plot import Curve, Panel, day, draw, number

if TYPE_CHECKING:
    from host_tools.rows import Row
    from host_tools.schedule.zone import Zone

NAME = "plots.svg"

HOUR = 3600
#: A reported value is taken to hold for so many intervals, or seconds by kind for those that report on change
#: only; then the curve has a gap.
_HOLDS = 3
_HOLD_S = {"bin": 12 * HOUR, "leak": 3 * HOUR}
#: No more marks on a panel: they would cover each other.
_MARKS = 12

Points = list[tuple[float, float | None]]


@dataclass
class Truth:
    """What really was, by board: changes of an output (virtual us, values), fill in per cent and the index of the
    meter in litres as functions of virtual us."""

    outputs: dict[str, list[tuple[int, Mapping[str, Any]]]] = field(default_factory=dict)
    fill: dict[str, Callable[[int], float]] = field(default_factory=dict)
    index: dict[str, Callable[[int], float]] = field(default_factory=dict)


class Local(dt.tzinfo):
    """The local time of a POSIX TZ string, for labels."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def fromutc(self, at: dt.datetime) -> dt.datetime:
        instant = at.replace(tzinfo=dt.UTC).timestamp()
        return at + dt.timedelta(seconds=self._zone.offset(instant))

    def utcoffset(self, at: dt.datetime | None) -> dt.timedelta:
        if at is None:
            return dt.timedelta(seconds=self._zone.standard)
        wall = at.replace(tzinfo=dt.UTC).timestamp()
        instant = self._zone.instant(at.date(), at.hour * HOUR + at.minute * 60 + at.second)
        return dt.timedelta(seconds=round(wall - at.microsecond / 1e6 - instant))

    def dst(self, at: dt.datetime | None) -> None:
        return None

    def tzname(self, at: dt.datetime | None) -> str:
        return self._zone.text


def _when(row: Row) -> float:
    """Unix seconds: the board's word where it has one, else the reception."""
    return dt.datetime.fromisoformat(row.time).timestamp() if row.time else row.received_at / 1e6


class _Board:
    """One board of the scenario with what is known of it; instants are Unix seconds."""

    def __init__(self, board: Mapping[str, Any], rows: Iterable[Row], truth: Truth, begin: float) -> None:
        self.name = str(board["name"])
        self.kind = str(board["kind"])
        self.begin = begin
        self.truth = truth
        self.hold = max(_HOLDS * int(board.get("interval_s", 900)), _HOLD_S.get(self.kind, 0))
        mine = [r for r in rows if r.name == self.name and r.type == self.kind and r.state != "rejected"]
        self.rows = sorted(mine, key=_when)

    def reported(self, column: str, convert: Callable[[Any], float] = float) -> Points:
        """A column over time; a gap where the board was silent for longer than it should."""
        found: Points = []
        for row in self.rows:
            if column not in row.values:
                continue
            at = _when(row)
            if found and at - found[-1][0] > self.hold:
                found.append((found[-1][0] + self.hold, found[-1][1]))
                found.append((at, None))
            found.append((at, convert(row.values[column])))
        return found

    def actual(self, key: str, end: float) -> Points:
        """A value of the output's model; it holds until the end."""
        events = self.truth.outputs.get(self.name, [])
        found: Points = [(self.begin + t / 1e6, float(what[key])) for t, what in events if key in what]
        return [*found, (end, found[-1][1])] if found else []

    def sampled(self, of: Callable[[int], float], end: float, step: int = 300) -> Points:
        """A function of virtual us at every `step` seconds."""
        count = int(end - self.begin) // step
        return [(self.begin + n * step, of(n * step * 1_000_000)) for n in range(count + 1)]

    def marks(self) -> list[tuple[float, str]]:
        """Where an alarm begins."""
        before: set[str] = set()
        found = []
        for row in self.rows:
            now = row.values.get("alarms", ())
            names = {str(n) for n in now} if isinstance(now, list) else set()
            found += [(_when(row), name) for name in sorted(names - before)]
            before = names
        return found[:_MARKS]


def _lamp(board: _Board, end: float) -> list[Panel]:
    level, power = say("level", "niveau"), say("power", "puissance")
    panels = [
        Panel(
            f"{board.name}: {level}",
            "%",
            [
                Curve(say("light", "lumière"), board.actual("level", end), step=True),
                Curve(say("reported", "annoncé"), board.reported("level_percent"), step=True),
            ],
            0,
            100,
            board.marks(),
        )
    ]
    told, true = board.reported("power_w"), board.actual("power_w", end)
    if told or true:
        curves = [Curve(say("drawn", "consommée"), true, step=True)] if true else []
        curves += [Curve(say("reported", "annoncée"), told, step=True)] if told else []
        panels.append(Panel(f"{board.name}: {power}", "W", curves, 0, 1))
    return panels


def _bin(board: _Board, end: float) -> list[Panel]:
    curves = []
    if board.name in board.truth.fill:
        curves.append(Curve(say("true", "vrai"), board.sampled(board.truth.fill[board.name], end)))
    curves.append(Curve(say("reported", "annoncé"), board.reported("fill_percent")))
    title = say("fill", "remplissage")
    return [Panel(f"{board.name}: {title}", "%", curves, 0, 100, board.marks())]


def hourly(rows: Iterable[Row]) -> dict[int, float]:
    """Litres by the hour (Unix seconds of its beginning) as a leak meter reported them: each reading holds the
    hours before its own full hour, newest first."""
    found: dict[int, float] = {}
    for row in rows:
        hours = row.values.get("hourly_l_per_h")
        if row.clock != "confirmed" or not isinstance(hours, list):
            continue
        slot = int(_when(row)) // HOUR * HOUR
        for n, litres in enumerate(hours, 1):
            found[slot - n * HOUR] = float(litres)
    return found


def _flow(board: _Board, end: float) -> list[Panel]:
    told: Points = []
    for at, litres in sorted(hourly(board.rows).items()):
        if told and told[-1][0] != at:
            told.append((told[-1][0], None))
        told += [(float(at), litres), (float(at + HOUR), litres)]
    curves = []
    if board.name in board.truth.index:
        index = board.truth.index[board.name]
        true: Points = []
        first = int(-(-board.begin // HOUR) * HOUR)
        for at in range(first, int(end) - HOUR + 1, HOUR):
            since = (at - board.begin) * 1e6
            litres = index(int(since + HOUR * 1e6)) - index(int(since))
            true += [(float(at), litres), (float(at + HOUR), litres)]
        curves.append(Curve(say("true, by the hour", "vrai, par heure"), true))
    curves.append(Curve(say("reported", "annoncé"), told))
    title = say("flow", "débit")
    return [Panel(f"{board.name}: {title}", "l/h", curves, 0, 1, board.marks())]


def _cabinet(board: _Board, end: float) -> list[Panel]:
    def on(word: Any) -> float:
        return float(word == "on")

    contactor, power = say("contactor", "contacteur"), say("power", "puissance")
    return [
        Panel(
            f"{board.name}: {contactor}",
            "",
            [
                Curve(say("contact", "contact"), board.actual("fed", end), step=True),
                Curve(say("reported", "annoncé"), board.reported("contactor", on), step=True),
            ],
            0,
            1,
            board.marks(),
            (say("off", "arrêt"), say("on", "marche")),
        ),
        Panel(
            f"{board.name}: {power}",
            "W",
            [
                Curve(say("feeder", "départ"), board.actual("power_w", end), step=True),
                Curve(say("reported", "annoncée"), board.reported("power_w"), step=True),
            ],
            0,
            1,
        ),
    ]


_PANELS: dict[str, Callable[[_Board, float], list[Panel]]] = {
    "lamp": _lamp,
    "bin": _bin,
    "leak": _flow,
    "cabinet": _cabinet,
}


def nights(begin: float, end: float, latitude: float, longitude: float) -> list[tuple[float, float]]:
    """Spans in which the sun's upper edge is below the horizon."""
    from host_tools.schedule import sun

    on = dt.datetime.fromtimestamp(begin, dt.UTC).date() - dt.timedelta(1)
    found: list[tuple[float, float]] = []
    while True:
        today = sun.day(on, latitude, longitude)
        on += dt.timedelta(1)
        tomorrow = sun.day(on, latitude, longitude)
        if today.noon > end:
            return found
        if not today.up_after:
            first = today.noon if today.set is None else today.set
            last = tomorrow.noon if tomorrow.rise is None else tomorrow.rise
            found.append((float(first), float(last)))


def index_of(series: Sequence[tuple[int, float]]) -> Callable[[int], float]:
    """Litres that a meter has counted at a virtual us, from its readings as a contact can follow them: what is
    wrong with the series is left out, a new meter goes on from the old one."""
    from hw.virtual.chips.pulse_meter import clean

    times: list[int] = []
    litres: list[float] = []
    for part in clean(series).parts:
        base = litres[-1] - part[0][1] if litres else 0.0
        times += [t for t, _ in part]
        litres += [base + value for _, value in part]

    def at(t_us: int) -> float:
        n = bisect.bisect_right(times, t_us)
        if n in (0, len(times)):
            return litres[min(n, len(times) - 1)]
        gone = (t_us - times[n - 1]) / (times[n] - times[n - 1])
        return litres[n - 1] + gone * (litres[n] - litres[n - 1])

    return at


@dataclass(frozen=True)
class Place:
    """Where a scenario plays: time zone for labels, degrees north and east for nights."""

    zone: dt.tzinfo = dt.UTC
    position: tuple[float, float] | None = None


def place(scenario: Mapping[str, Any]) -> Place:
    """Zone and position of the first plan among the boards; UTC and no nights without one. InputError for a plan
    that the second evaluator refuses."""
    from host_tools import schedule

    for board in scenario["board"]:
        if "plan" in board:
            plan = schedule.load(board["plan"])
            return Place(Local(plan.zone), (plan.latitude, plan.longitude))
    return Place()


@dataclass(frozen=True)
class Picture:
    """What a page is drawn of. hours: how long the run was; water: where the meter's series comes from."""

    scenario: Mapping[str, Any]
    rows: Sequence[Row]
    truth: Truth
    hours: float
    water: str = ""
    place: Place = Place()

    def page(self) -> str:
        """The SVG page."""
        begin = dt.datetime.fromisoformat(str(self.scenario["start_utc"])).timestamp()
        end = begin + self.hours * HOUR
        panels: list[Panel] = []
        for board in self.scenario["board"]:
            make = _PANELS.get(board["kind"])
            if make is not None:
                panels += make(_Board(board, self.rows, self.truth, begin), end)
        first, last = (dt.datetime.fromtimestamp(t, self.place.zone) for t in (begin, end))
        span = f"{day(first)} {first:%Y %H:%M} {say('to', 'au')} {day(last)} {last:%Y %H:%M}"
        notes = [f"{span} ({first.tzname()})."]
        shades: list[tuple[float, float]] = []
        if self.place.position:
            north, east = self.place.position
            shades = nights(begin, end, north, east)
            shaded = say("Shaded: night at", "Ombré : nuit à")
            sides = "N" if north >= 0 else "S", "E" if east >= 0 else say("W", "O")
            where = [f"{number(abs(v))}° {side}" for v, side in zip((north, east), sides, strict=True)]
            notes[0] += f" {shaded} {' '.join(where)}."
        notes.append(say("Boards and sensors are virtual.", "Cartes et capteurs virtuels."))
        if self.water:
            notes[1] += " " + say("Water:", "Eau :") + f" {self.water}."
        title = str(self.scenario["title"])
        return draw(title, panels, begin, end, self.place.zone, shades, "\n".join(notes))

    def write(self, folder: Path) -> Path:
        """The page as a file in a run's folder."""
        path = folder / NAME
        path.write_text(self.page(), encoding="utf-8")
        return path
