"""What a lamp of a scenario has soldered on."""

from __future__ import annotations

from typing import Any

from hw.virtual.chips.bl0942 import BL0942
from hw.virtual.chips.contact import Contact
from hw.virtual.chips.lamp_0_10v import Lamp010V
from hw.virtual.chips.relay_lamp import RelayLamp
from hw.virtual.hwboard import HwBoard


def furnish(b: dict[str, Any], hw: HwBoard, chips: dict[str, Any], settings: dict[str, int]) -> None:
    """A luminaire at the dimming output, or with the part `relay` as its light a discharge lamp of `rated_w`
    watts (150), `warm_s` and `cool_s` seconds (0); its meter; for each contact that the settings name one that
    says no."""
    parts = b.get("parts", {})
    about = hw.about["lamp"]
    lamp: Lamp010V | RelayLamp
    if parts.get("light") == "relay":
        chips["relay"] = lamp = RelayLamp(
            b.get("rated_w", 150.0),
            warm_s=b.get("warm_s", 0.0),
            cool_s=b.get("cool_s", 0.0),
            on_level=about["relay_on_level"],
        )
    else:
        chips["lamp"] = lamp = Lamp010V(
            full_level=about["dim_full_level"], relay_on_level=about["relay_on_level"]
        )
    if parts.get("energy") == "bl0942":
        chips["bl0942"] = BL0942(
            hw.wiring["bl0942"]["uart"], lambda _: (230.0, lamp.power_w / 230, 1.0), step_us=10_000_000
        )
    for name in ("local_contact", "presence_contact"):
        n = settings.get(name, 0)
        if f"contact{n % 100}" in hw.wiring and parts.get("contacts") == "contacts":
            chips[f"contact{n % 100}"] = Contact(n > 100)
