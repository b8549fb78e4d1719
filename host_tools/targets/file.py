"""A capture file as target: pcap, or pcapng by its suffix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from host_tools.capture import CaptureWriter
from host_tools.formats.pcapng import PcapngWriter
from host_tools.frames import Frame
from host_tools.targets.base import Ledger


class FileTarget:
    """Every frame is written before `send` returns; nothing is refused, broken records stay what they are."""

    live = False

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self.ledger = Ledger()
        self._pcap: CaptureWriter | None = None
        self._pcapng: PcapngWriter | None = None

    def open(self) -> None:
        if Path(self.path).suffix == ".pcapng":
            self._pcapng = PcapngWriter(self.path)
        else:
            self._pcap = CaptureWriter(self.path)

    def send(self, number: int, frame: Frame) -> None:
        if self._pcapng is not None:
            self._pcapng.add(frame)
        elif self._pcap is not None:
            self._pcap.write(frame)

    def settle(self, seconds: float) -> None:
        pass

    def close(self) -> None:
        for writer in (self._pcap, self._pcapng):
            if writer is not None:
                writer.close()

    def told(self) -> dict[str, Any]:
        return {}
