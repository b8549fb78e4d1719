"""Who has which pin, UART and timer of the board: nothing is given out twice, and nothing that cannot serve."""

from firmware.drivers.errors import ConfigError

IN = 0
OUT = 1
ANALOG = 2


class Pins:
    """board: the constants of firmware/boards; wifi: the board's network is used, which stops ADC2."""

    def __init__(self, board, wifi=False):
        self._board = board
        self._wifi = wifi
        self._owners = {}
        for pin in board.SPI[1:] + board.RADIO:
            if pin >= 0:
                self._owners[pin] = "radio"
        for pin in board.TAKEN:
            self._owners[pin] = "board"

    def take(self, who, pin, use=IN):
        """Give GPIO `pin` to the part `who`; returns the number.

        ConfigError(who, reason, pin): reason is the name of the part that has it, or strapping, input_only,
        no_adc, adc2_wifi, no_pin (the board names none for this use).
        """
        board = self._board
        reason = self._owners.get(pin)
        if not reason:
            if pin < 0:
                reason = "no_pin"
            elif pin in board.STRAPPING:
                reason = "strapping"
            elif use == OUT and pin in board.INPUT_ONLY:
                reason = "input_only"
            elif use == ANALOG and pin in board.ADC2:
                reason = "adc2_wifi" if self._wifi else None
            elif use == ANALOG and pin not in board.ADC1:
                reason = "no_adc"
        if reason:
            raise ConfigError(who, reason, pin)
        self._owners[pin] = who
        return pin

    def unit(self, who, kind, number):
        """Give unit `number` of a `kind` of peripheral ("uart", "i2c" ...); ConfigError as `take`.

        UART 0 is the console.
        """
        key = kind + str(number)
        reason = "console" if key == "uart0" else self._owners.get(key)
        if reason:
            raise ConfigError(who, reason, key)
        self._owners[key] = who
        return number

    def share(self, who, kind, number):
        """A bus of several parts: true for the first one, who opens it."""
        key = kind + str(number)
        if self._owners.get(key, kind) != kind:
            raise ConfigError(who, self._owners[key], key)
        first = key not in self._owners
        self._owners[key] = kind
        return first
