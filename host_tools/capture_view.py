"""What a live capture looks like on a terminal: how fast frames come, who sends, what is refused, where it goes.

Drawn in place, in whatever size the terminal has; elsewhere a plain line comes now and then, and nothing of it is
meant for programs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from host_tools.live import clock, rest, values
from host_tools.output import printable, say
from host_tools.rotation import CaptureFiles
from host_tools.sources.taker import Seen, Tally, disk

LINE_EVERY_S = 10.0
_DRAWN_EVERY_S = 0.5
_COLOURS = {
    "signed": "green",
    "authenticated": "cyan",
    "unverified": "yellow",
    "contested": "magenta",
    "rejected": "red",
}
_FEW = 4  # gateways and reasons that are shown at most
_TALL = 20  # lines from which all parts have room


def amount(size: int) -> str:
    """Bytes for people: 999 B, 1.2 kB, 12 MB."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.1f} {unit}" if unit != "B" and value < 9.95 else f"{value:.0f} {unit}"


class CaptureView:
    """Use as a context manager; it draws in a thread of its own, so that nobody waits for the terminal.

    where: what is captured from. `note` shows a remark of the source, the last one in place.
    """

    def __init__(
        self,
        where: str,
        tally: Tally,
        files: CaptureFiles,
        console: Console | None = None,
        line_every_s: float = LINE_EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._where = where
        self._tally = tally
        self._files = files
        self._console = console or Console(stderr=True)
        self._every = line_every_s
        self._monotonic = monotonic
        self._note = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="view", daemon=True)

    def __enter__(self) -> CaptureView:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def note(self, text: str) -> None:
        self._note = text
        if not self._console.is_terminal:
            self._console.print(Text(printable(text)), soft_wrap=True)

    def _run(self) -> None:
        if not self._console.is_terminal:
            while not self._stop.wait(self._every):
                self._console.print(Text(self.line()), soft_wrap=True)
            return
        with Live(
            self.draw(), console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop"
        ) as live:
            while not self._stop.wait(_DRAWN_EVERY_S):
                live.update(self.draw(), refresh=True)

    # Words

    def line(self) -> str:
        """All of it in one line."""
        tally = self._tally
        second, minute = tally.rates()
        parts = [
            say(f"{tally.frames} frames", f"{tally.frames} trames"),
            f"{second:.1f}/s {minute}/min",
            say(f"{len(tally.devices)} devices", f"{len(tally.devices)} équipements"),
            say(f"{len(tally.gateways)} gateways", f"{len(tally.gateways)} passerelles"),
        ]
        parts += [f"{n} {name}" for name, n in tally.counts(tally.states).items()]
        parts += [f"{n} {name}" for name, n in self._bad()]
        return "  ".join(map(printable, parts)) + "  " + printable(self._files.path.name)

    def _bad(self) -> list[tuple[str, int]]:
        """What was refused by reason, the worst first: by the disk, unreadable, by verdict."""
        tally = self._tally
        found = [(name, n) for name, n in tally.counts(tally.refusals).items()]
        found += tally.counts(tally.lost).items()
        found += tally.counts(tally.unreadable).items()
        return found + list(tally.counts(tally.reasons).items())

    def _head(self) -> Text:
        tally = self._tally
        second, minute = tally.rates()
        passed = int(self._monotonic() - tally.began)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{tally.frames} " + say("frames", "trames"), "bold")
        text.append(
            f"   {second:.1f}/s   {minute}/min   {passed // 3600}:{passed // 60 % 60:02}:{passed % 60:02}"
        )
        for name, n in tally.counts(tally.states).items():
            text.append(f"   {n} {name}", _COLOURS.get(name, ""))
        return text

    def _foot(self) -> Text:
        entry = self._files.entries[-1]
        free, total = disk(entry.path)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(printable(entry.path.name), "bold")
        text.append(f"   {amount(entry.size)}   ")
        if len(self._files.entries) > 1:
            text.append(say("file ", "fichier ") + f"{len(self._files.entries)}   ")
        low = total and free < total // 50
        text.append(
            say("disk: ", "disque : ") + f"{amount(free)} " + say("free", "libres"), "red" if low else ""
        )
        if self._note:
            text.append("   " + printable(self._note), "dim")
        return text

    def _devices(self, rows: int) -> Table:
        table = Table(box=None, expand=True, pad_edge=False)
        for name, width in (
            (say("heard", "reçu"), 8),
            (say("device", "équipement"), 16),
            ("n", 5),
            ("state", 13),
        ):
            table.add_column(name, no_wrap=True, min_width=width, max_width=max(width, 24))
        rest(table, say("last reading", "dernière mesure"))
        for name, seen in self._tally.newest(self._tally.devices, rows):
            state, shown = self._reading(seen)
            table.add_row(clock(seen.last_us), Text(printable(name)), str(seen.count), state, shown)
        return table

    @staticmethod
    def _reading(seen: Seen) -> tuple[Text, Text]:
        if seen.row is not None:
            told = values(seen.row) if seen.row.values else Text(printable(seen.row.reason))
            return Text(seen.row.state, _COLOURS.get(seen.row.state, "")), told
        frame = seen.frame
        if frame is None:
            return Text(""), Text("")
        return Text("-"), Text(f"{len(frame.data)} B  {_heard(seen)}")

    def _gateways(self, rows: int) -> Table:
        table = Table(box=None, expand=True, pad_edge=False)
        for name, width in ((say("heard", "reçu"), 8), (say("gateway", "passerelle"), 16), ("n", 5)):
            table.add_column(name, no_wrap=True, min_width=width)
        rest(table, say("last frame", "dernière trame"))
        for name, seen in self._tally.newest(self._tally.gateways, rows):
            table.add_row(clock(seen.last_us), name.hex(), str(seen.count), _heard(seen))
        return table

    def _refused(self, found: list[tuple[str, int]], rows: int) -> list[RenderableType]:
        lines: list[RenderableType] = []
        for n, (name, count) in enumerate(found[:rows]):
            text = Text(no_wrap=True, overflow="ellipsis")
            text.append(f"{count:>8}  ", "red")
            text.append(printable(name))
            if n + 1 == rows < len(found):
                more = len(found) - rows
                text.append(say(f"   and {more} more", f"   et {more} de plus"), "dim")
            lines.append(text)
        return lines

    def draw(self) -> Group:
        """As much as the terminal's height has room for: what is counted and the file, devices, then the rest."""
        height = max(self._console.size.height - 1, 3)
        tall = height >= _TALL
        bad = self._bad()
        gateways = min(len(self._tally.gateways), _FEW) if tall else 0
        reasons = min(len(bad), _FEW if tall else 1)
        # Ahead of each part a blank line; title, counts and file; heads of the tables.
        fixed = 4 + tall + (gateways + 2 if gateways else 0) + (reasons + 2 * tall if reasons else 0)
        title = "lanterne capture  " + printable(self._where)
        parts: list[RenderableType] = [Text(title, "bold", no_wrap=True, overflow="ellipsis"), self._head()]
        blank: list[RenderableType] = [Text("")] if tall else []
        if height > fixed:
            parts += [*blank, self._devices(height - fixed)]
        if gateways:
            parts += [*blank, self._gateways(gateways)]
        if reasons and height > 3:
            heading = [*blank, Text(say("refused", "refusés"), "bold")] if tall else []
            parts += [*heading, *self._refused(bad, reasons)]
        return Group(*parts, self._foot())


def _heard(seen: Seen) -> Text:
    radio = seen.frame.radio if seen.frame else None
    if radio is None or not radio.freq_hz:
        return Text("")
    return Text(
        f"{radio.freq_hz / 1e6:.3f} MHz  SF{radio.sf}  {radio.rssi_qdbm / 4:g} dBm  {radio.snr_qdb / 4:g} dB"
    )
