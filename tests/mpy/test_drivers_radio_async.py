# runs: micropython
"""The asyncio front of the radio: interrupts wake it, lost ones only delay it, cancelling leaves standby."""

import asyncio
import time

from firmware.drivers.errors import ChipError
from firmware.drivers.radio_async import AsyncSX1262
from tests.mpy.support import raises
from tests.mpy.test_drivers_sx126x import Bus, vector
from tests.mpy.ticks import Rising


def build(irqs, sf=7):
    """(radio, bus, dio1); `irqs` are the answers to the polls after the set-up."""
    bus = Bus(vector("reset_configure")["answers"])
    dio1 = Rising()
    radio = AsyncSX1262(
        bus,
        bus.cs,
        Rising(),
        dio1,
        reset=Rising(),
        dio3_tcxo_millivolts=1800,
        lora_cfg={"sf": sf},
        clock=time,
    )
    bus.log = []
    bus.answers = Bus(vector("receive")["answers"]).answers
    bus.answers["1e0000"] = [bytes(range(24))]
    bus.answers["12"] = [bytes.fromhex(i) for i in irqs]
    return radio, bus, dio1


async def after(ms, pin):
    await asyncio.sleep_ms(ms)
    pin.handler(pin)


def timed(coroutine):
    """(result, milliseconds it took)"""
    start = time.ticks_ms()
    result = asyncio.run(coroutine)
    return result, time.ticks_diff(time.ticks_ms(), start)


def test_send_ends_with_the_interrupt():
    radio, _, dio1 = build(["2c0001"], 12)

    async def main():
        edge = asyncio.create_task(after(20, dio1))
        done = await radio.send(b"x" * 200)
        await edge
        return done

    done, ms = timed(main())
    assert isinstance(done, int) and done is not True
    assert ms < 7000  # without the interrupt it would take the air time of 7.2 s


def test_send_without_interrupt_is_polled_at_the_end_of_the_air_time():
    radio, _, _ = build(["2c0001"])
    _, ms = timed(radio.send(b"x" * 24))
    assert ms >= 60


def test_send_at_an_instant():
    radio, _, _ = build(["2c0001"])

    async def main():
        at = time.ticks_add(time.ticks_ms(), 80)
        await radio.send(b"x", at)

    _, ms = timed(main())
    assert ms >= 80


def test_send_that_fails_leaves_standby():
    radio, bus, _ = build(["260200"])
    raises(ChipError, asyncio.run, radio.send(b"x"))
    assert bus.log[-2][:2] == "80"


def test_recv():
    radio, _, dio1 = build(["240002"])

    async def main():
        edge = asyncio.create_task(after(20, dio1))
        packet = await radio.recv()
        await edge
        return packet

    packet, ms = timed(main())
    assert bytes(packet) == bytes(range(24))
    assert ms < 1900  # a poll without the interrupt comes after 2 s


def test_recv_time_out():
    radio, _, _ = build(["520000", "260200"])
    packet, _ = timed(radio.recv(timeout_ms=40))
    assert packet is None


def test_recv_cancelled():
    radio, bus, _ = build(["520000"])

    async def main():
        task = asyncio.create_task(radio.recv())
        await asyncio.sleep_ms(20)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return True

    assert timed(main())[0]
    assert bus.log[-2] == "8001"
    assert radio.poll_recv() is False


def test_cad():
    for answer, found in (("220180", True), ("220080", False)):
        radio, _, _ = build([answer])
        assert asyncio.run(radio.cad()) is found


def test_cad_that_hangs():
    radio, bus, _ = build(["520000"])
    raises(ChipError, asyncio.run, radio.cad())
    assert "8001" in bus.log[-3:]
