"""What work costs on the chip: the declared table behind every *model* figure.

Times are microseconds on an ESP32 at the default clock of stock MicroPython, 160 MHz; sources that speak of
240 MHz are multiplied by 1.5. A charge is drawn between typical and worst by the board's own seeded
generator: typical + (worst - typical) * u**4, u uniform in [0, 1), so that the mean lies a fifth of the way
up and the worst is rare. `scale` of a row with `per` set is multiplied by the named quantity.

Sources: S = the project's speed study (same code on a 32-bit interpreter here, times 110..182, the published
ratio of an ESP32 to this machine class); P = its performance notes; E = its notes on the chip; D = datasheet
of a common serial flash (W25Q32JV rev. G, 9.6: page program 0.4/3 ms, 4 KB erase 45/400 ms). None was
measured on hardware."""

from __future__ import annotations

from typing import NamedTuple

VERSION = 1


class Row(NamedTuple):
    what: str
    typical_us: int
    worst_us: int
    per: str
    source: str


TABLE: tuple[Row, ...] = (
    Row("boot", 350_000, 600_000, "", "P: image check and mounting before the first Python line"),
    Row("ticks", 4, 4, "call", "S: 0.02 us here, times 182"),
    Row("pin", 6, 6, "call", "S: a method call of a built-in object"),
    Row("spi", 28, 28, "call", "S: call and driver set-up, beside the time of the bits"),
    Row("bus", 60, 60, "call", "S: I2C and ADC driver set-up"),
    Row("turn", 450, 450, "pass of the event loop", "S: 2.5 us here, times 182"),
    Row("gc", 110, 260, "KB of heap", "E: tens of ms for the chip's 145 KB"),
    Row("import", 6_500, 9_000, "KB of .mpy", "P: 1980 bytes in 69 us here, times 182"),
    Row("import_source", 60_000, 90_000, "KB of .py", "P: 9.8 times the .mpy"),
    Row("ed25519.sign", 150_000, 285_000, "call", "S: comb 5x1, 0.10-0.19 s at 240 MHz"),
    Row("ed25519.verify", 705_000, 1_125_000, "call", "S: 0.47-0.75 s at 240 MHz"),
    Row("ed25519.public_key", 150_000, 285_000, "call", "S: one comb multiplication, as sign"),
    Row("sha512.sha512", 900, 3_000, "call", "S: viper, two blocks"),
    Row("x25519.x25519", 330_000, 525_000, "call", "S: 0.22-0.35 s at 240 MHz"),
    Row("hmac256.Hmac.digest", 225, 450, "call", "S: cached pads, 0.15-0.3 ms at 240 MHz"),
    Row("hmac256.Hmac.mac", 225, 450, "call", "S: as digest"),
    Row("hmac256.hkdf", 5_300, 8_300, "call", "S: 3.5-5.5 ms at 240 MHz"),
    Row("ccm.seal", 600, 2_400, "call", "S: twice an AES-CMAC of 24-200 bytes"),
    Row("ccm.open", 600, 2_400, "call", "S: as seal"),
    Row(
        "flash_read", 12, 12, "call", "D and driver; 80 MHz quad is 40 MB/s, with cache misses 100 ns a byte"
    ),
    Row("flash_program", 400, 3_000, "page of 256 bytes", "D: page program"),
    Row("flash_erase", 45_000, 400_000, "block of 4 KB", "D: sector erase; E: 45-400 ms"),
    Row("nvs_read", 150, 400, "call", "E: a hash look-up and a read of 32 bytes"),
    Row("nvs_write", 600, 3_500, "entry of 32 bytes", "D: the entry and two state words"),
    Row("tls_handshake", 2_400_000, 4_200_000, "call", "S: one RSA-2048 verify chain and one P-256 sign"),
    Row("dns", 30_000, 200_000, "call", "E: an answer of the local resolver"),
    Row("dns_timeout", 7_000_000, 14_000_000, "call", "E: lwIP, four tries with growing intervals"),
    Row("console", 87, 87, "byte beyond 128", "115200 baud; the FIFO takes the first 128 bytes"),
)


class Costs:
    """The table, looked up by name; `override` replaces single rows (typical, worst) for one world."""

    def __init__(self, override: dict[str, tuple[int, int]] | None = None) -> None:
        self.rows = {row.what: (row.typical_us, row.worst_us) for row in TABLE}
        for what, pair in (override or {}).items():
            if what not in self.rows:
                raise KeyError(f"the cost table has no row {what!r}")
            self.rows[what] = pair

    def typical(self, what: str) -> int:
        return self.rows[what][0]

    def draw(self, what: str, uniform: float) -> int:
        """Microseconds for one piece of work; `uniform` in [0, 1) is the board's next random number."""
        typical, worst = self.rows[what]
        return typical + int((worst - typical) * uniform**4)

    def functions(self, module: str) -> list[tuple[str, int, int]]:
        """The rows (name inside the module, typical, worst) that belong to a module by its last name."""
        head = module.rsplit(".", 1)[-1] + "."
        return [(w[len(head) :], t, x) for w, (t, x) in self.rows.items() if w.startswith(head)]
