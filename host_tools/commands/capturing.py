"""The live part of `lanterne capture`: a gateway's line or another source, its files, the view, the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host_tools.commands.common import Settings
from host_tools.errors import StoreError, ToolError
from host_tools.output import error_line, say, table_lines

if TYPE_CHECKING:
    from host_tools.commander import Commander
    from host_tools.receiver import Receiver
    from host_tools.rotation import Rule
    from host_tools.sources.taker import Counted

_TICK_S = 0.05


class Live:
    """One live capture: its files, what is shown of it, and how it ends."""

    def __init__(
        self,
        settings: Settings,
        source: str,
        out: str,
        rule: Rule | None,
        append: bool,
        view: bool,
        seconds: float | None,
    ) -> None:
        self.settings = settings
        self.remarks = settings.output
        self._source = source
        self._seconds = seconds
        self._fresh = not Path(out).exists()
        self._with_view = view
        self._shown: Any = None
        self._made_of = out, rule, append
        self._opened = ExitStack()

    def begin(self) -> Counted:
        """Begin the files; until then nothing was changed."""
        from host_tools.sources.taker import Counted

        self.files = Counted(*self._made_of, tell=self.tell)
        self.tally = self.files.tally
        return self.files

    def tell(self, text: str) -> None:
        """A word on what changes, which does not disturb the view."""
        if self._shown is not None:
            self._shown.note(text)
        else:
            self.remarks.remark(text)

    def complain(self, error: ToolError) -> None:
        """A refusal, while the capture goes on."""
        if self._shown is not None:
            self._shown.note(str(error))
        else:
            error_line(str(error), error.hint)

    def discard(self) -> None:
        """Nothing came of it: leave no empty capture behind."""
        if not hasattr(self, "files"):
            return
        self.files.close()
        if (self._fresh or not self.files.single) and not self.files.frames:
            self.files.path.unlink(missing_ok=True)

    def look(self) -> None:
        """Show the view, or a counter in one line."""
        if self._with_view:
            from host_tools.capture_view import CaptureView

            self._shown = self._opened.enter_context(CaptureView(self._source, self.tally, self.files))
            return
        self._progress = self._opened.enter_context(self.remarks.progress(say("frames", "trames")))

    def seen(self, row: Any) -> None:
        """A row that was found."""
        from host_tools import rows as rows_of

        if self.settings.json:
            print(rows_of.to_json(row), flush=True)
        if self._shown is None:
            self.remarks.detail(f"{row.name or row.device} {row.type} {row.state} {row.reason}")

    def wait(self, tick: Callable[[], bool]) -> None:
        """Until the time is over or `tick` says no."""
        end = None if self._seconds is None else time.monotonic() + self._seconds
        while tick() and (end is None or time.monotonic() < end):
            if self._shown is None:
                self._progress.step(self.tally.frames)
            time.sleep(_TICK_S)

    def end(self, interrupted: bool, refused: int, why: str = "") -> None:
        """Close the files, print their index; StoreError where frames were refused for good."""
        self.files.close()
        self._opened.close()
        self._shown = None
        if not self.files.single:
            self._index()
        tally = self.tally
        count = self.files.frames
        kept = say(f"{count} frames kept in {self.files}", f"{count} trames gardées dans {self.files}")
        unreadable = sum(tally.counts(tally.unreadable).values())
        if unreadable:
            kept += say(f", {unreadable} unreadable records", f", {unreadable} illisibles")
        for words, count in tally.counts(tally.lost).items():
            kept += say(f", {count} lost ({words})", f", {count} perdues ({words})")
        if refused:
            reasons = "; ".join(f"{n} {words}" for words, n in tally.counts(tally.refusals).items() if n)
            raise StoreError(kept + say(f", {refused} refused", f", {refused} refusées"), reasons or why)
        if interrupted:
            raise KeyboardInterrupt(say("interrupted", "interrompu") + ": " + kept)
        self.remarks.remark(kept)

    def _index(self) -> None:
        files = [entry.as_dict() for entry in self.files.entries]
        if self.settings.json:
            tally = self.tally
            self.remarks.result(
                {
                    "files": files,
                    "frames": self.files.frames,
                    "unreadable": tally.counts(tally.unreadable),
                    "refused": tally.counts(tally.refusals),
                    "lost": tally.counts(tally.lost),
                }
            )
            return
        columns = ("file", "frames", "bytes", "first", "last")
        rows = [[file[c] for c in columns] for file in files if not file["deleted"]]
        for line in table_lines(columns, rows):
            print(line)
        gone = [file for file in files if file["deleted"]]
        if gone:
            count = sum(file["frames"] for file in gone)
            self.remarks.remark(
                say(
                    f"{len(gone)} older files deleted, with {count} frames",
                    f"{len(gone)} fichiers plus anciens supprimés, avec {count} trames",
                )
            )


def from_gateway(
    live: Live, where: tuple[str, int], keys: tuple[str, ...], store: str | None, commander: str | None
) -> None:
    """Listen for our gateways on TCP."""
    from host_tools.intake import Intake, IntakeServer
    from provisioning.keyring import load_keyrings

    def seen(row: Any) -> None:
        live.tally.row(row, time.time_ns() // 1000)
        live.seen(row)

    intake = None
    try:
        intake = Intake(
            load_keyrings(keys),
            live.begin,
            store,
            commander=_commander(commander) if commander else None,
            on_row=seen,
        )
        server = IntakeServer(intake, *where, on_error=live.complain)
    except ToolError:
        if intake is not None:
            intake.close()
        live.discard()
        raise
    taken = intake

    def tick() -> bool:
        if taken.unreadable:
            live.tally.unreadable["bad_record"] = taken.unreadable
        live.files.tick()
        return taken.row_error is None

    interrupted = False
    try:
        live.look()
        with server:
            live.tell(say("listening on", "à l'écoute sur") + f" {where[0]}:{server.port}")
            live.wait(tick)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        intake.close()
    tick()
    live.end(interrupted, intake.refused, str(server.error or ""))
    if intake.row_error is not None:
        raise intake.row_error


def from_source(live: Live, source: str, keys: tuple[str, ...]) -> None:
    """Take in what comes over UDP, MQTT, WebSocket or a serial port."""
    from host_tools import sources
    from host_tools.sources.taker import Taker

    try:
        receiver = _receiver(keys)
        taker = Taker(live.begin(), receiver, on_row=live.seen)
        client = str(live.files.folder.absolute() / live.files.stem)
        found = sources.start(source, taker, live.tell, client)
    except ToolError:
        live.discard()
        raise

    def tick() -> bool:
        taker.tick()
        return taker.row_error is None and found.failed is None

    interrupted = False
    try:
        live.look()
        with found:
            live.tell(say("capturing from", "capture de") + f" {found.where}")
            live.wait(tick)
    except KeyboardInterrupt:
        interrupted = True
    live.end(interrupted, live.tally.refused)
    error = found.failed or taker.row_error
    if error is not None:
        raise error


def _receiver(keys: Sequence[str]) -> Receiver | None:
    """A receiver with keyrings and files of LoRaWAN keys; None without any."""
    if not keys:
        return None
    from host_tools import keyfiles
    from host_tools.receiver import Receiver

    rings, lorawan = keyfiles.load(keys)
    return Receiver(rings, capped=True, lorawan=lorawan)


def _commander(path: str) -> Commander:
    from host_tools.commander import Commander
    from provisioning.keyring import load_keyrings

    [ring] = load_keyrings([path], "commander")
    # The counters stay beside the keys they belong to: a counter that starts again would repeat numbers.
    return Commander(ring, Path(path + ".state"))
