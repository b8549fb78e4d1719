"""A02YYUW on the first free UART and the switched rail of the sensors; plays the role `range`."""

from machine import UART, Pin

from firmware.pins import OUT


def part(board):
    from firmware.drivers.a02yyuw import A02YYUW

    return on_uart(board, "a02yyuw", A02YYUW)


def on_uart(board, who, driver, baudrate=9600):
    """`driver` of a range sensor that talks by itself."""
    bus, tx, rx = board.pins.UART
    use = board.use
    use.unit(who, "uart", bus)
    # The sensor's own input stays open; without `tx` the port would take a pin of its own choice.
    uart = UART(bus, baudrate=baudrate, tx=use.take(who, tx, OUT), rx=use.take(who, rx))
    pin, on = board.pins.VEXT
    return driver(uart, Pin(use.take(who, pin, OUT), Pin.OUT, value=not on), on)
