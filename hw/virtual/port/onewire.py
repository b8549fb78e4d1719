# What the module of this name in the chip's image offers.
import _onewire as w


class OneWireError(Exception):
    pass


class OneWire:
    SEARCH_ROM = 0xF0
    MATCH_ROM = 0x55
    SKIP_ROM = 0xCC

    def __init__(self, pin):
        self.pin = pin
        pin.init(pin.OPEN_DRAIN, pin.PULL_UP)

    def reset(self, required=False):
        found = w.reset(self.pin)
        if required and not found:
            raise OneWireError
        return found

    def readbit(self):
        return w.readbit(self.pin)

    def readbyte(self):
        return w.readbyte(self.pin)

    def readinto(self, buf):
        for i in range(len(buf)):
            buf[i] = w.readbyte(self.pin)

    def writebit(self, value):
        w.writebit(self.pin, value)

    def writebyte(self, value):
        w.writebyte(self.pin, value)

    def write(self, buf):
        for v in buf:
            w.writebyte(self.pin, v)

    def select_rom(self, rom):
        self.reset()
        self.writebyte(0x55)
        self.write(rom)

    def crc8(self, data):
        return w.crc8(data)

    def scan(self):
        # At a fork first the devices with a 1; of each fork on the way, the branch that is still to be walked.
        # At most 255, as there: a line at ground looks like a fork at every bit.
        found = []
        ways = [(0, 0)]
        while ways and len(found) < 255 and self.reset():
            rom, n = ways.pop()
            self.writebyte(0xF0)
            for i in range(64):
                bit = self.readbit()
                other = self.readbit()
                if bit and other:
                    return found
                if i < n:
                    bit = rom >> i & 1
                elif bit == other:
                    ways.append((rom, i + 1))
                    bit = 1
                rom |= bit << i
                self.writebit(bit)
            found.append(bytearray(rom.to_bytes(8, "little")))
        return found
