"""A bench for the radio model in this process: by hand, or under our driver on the shim."""

import json
from pathlib import Path
from typing import Any

from firmware.drivers.radio_sync import SyncSX1262
from hw.virtual.air import Air, Radio, Reception
from hw.virtual.chips.base import ManualClock, ManualPort
from hw.virtual.chips.shim import InPin, OutPin, Spi, Time
from hw.virtual.chips.sx1262 import SX1262
from hw.virtual.chips.sx1262_tables import Mode

VECTORS = Path(__file__).parents[1] / "vectors/spi"
PAYLOAD = bytes(range(0x40, 0x58))
LINK = Radio(868_100_000, 9, 125_000, 0x3444)


class Far:
    """A second antenna without a chip."""

    def __init__(self, air: Air, clock: ManualClock, name: str = "far") -> None:
        self.clock = clock
        self.antenna = air.join(name, ManualPort(9, clock), self)
        self.heard: list[Reception] = []

    def heard_preamble(self) -> None: ...

    def heard_header(self, length: int, cr: int, crc_on: bool) -> bool:
        return True

    def heard_header_error(self) -> None: ...

    def heard_packet(self, reception: Reception) -> None:
        self.heard.append(reception)

    def send(self, payload: bytes = PAYLOAD, radio: Radio = LINK) -> None:
        self.antenna.transmit(self.clock.now_us, radio, 14, payload)

    def send_in(self, us: int, payload: bytes = PAYLOAD, radio: Radio = LINK) -> None:
        """Send so many microseconds from now."""
        self.clock.at(self.clock.now_us + us, lambda: self.send(payload, radio))


class Bench:
    """A model on a shim, used by hand: `cmd` waits for BUSY and clocks one transaction."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock()
        self.air = Air(4, links={("near", "far"): 100.0})
        self.chip = SX1262(self.air, name="near", **options)
        self.chip.name = "radio"
        self.port = ManualPort(1, self.clock)
        self.chip.attach(self.port)
        self.spi = Spi(self.chip, self.clock)
        self.far = Far(self.air, self.clock)

    def ready(self) -> int:
        """Wait for BUSY to fall; how long it took."""
        start = self.clock.now_us
        while self.port.pins["busy"]:
            step = self.clock.next_us()
            assert step is not None, "BUSY never falls"
            self.clock.run_until(step)
        return self.clock.now_us - start

    def raw(self, mosi: str) -> bytes:
        data = bytes.fromhex(mosi)
        miso = bytearray(len(data))
        self.spi.cs(0)
        if data:
            self.spi.write_readinto(data, miso)
        self.spi.cs(1)
        return bytes(miso)

    def cmd(self, *mosi: str) -> bytes:
        miso = b""
        for m in mosi:
            self.ready()
            miso = self.raw(m)
        return miso

    def set_up(self) -> None:
        self.cmd(*(row[0] for row in load("reset_configure")["spi"]))

    def irq(self) -> int:
        return int.from_bytes(self.cmd("12000000")[2:], "big")

    def mode(self) -> Mode:
        return Mode(self.cmd("c000")[1] >> 4 & 7)

    def settle(self, us: int) -> None:
        self.clock.advance(us)


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def rig(**options: Any) -> tuple[Bench, SyncSX1262, InPin]:
    """The driver on a bench, configured for the link."""
    bench = Bench(**options)
    dio1 = InPin(bench.port, "dio1")
    driver = SyncSX1262(
        bench.spi,
        bench.spi.cs,
        InPin(bench.port, "busy"),
        dio1,
        reset=OutPin(lambda level: bench.chip.pin_changed("reset", level)),
        dio3_tcxo_millivolts=1800,
        lora_cfg={"freq_khz": 868100, "sf": 9, "syncword": 0x34},
        clock=Time(bench.clock),
    )
    return bench, driver, dio1
