# What the module of this name in the chip's image offers.


class DS18X20:
    def __init__(self, onewire):
        self.ow = onewire
        self.buf = bytearray(9)

    def scan(self):
        return [rom for rom in self.ow.scan() if rom[0] in (0x10, 0x22, 0x28)]

    def convert_temp(self):
        w = self.ow
        w.reset(True)
        w.writebyte(w.SKIP_ROM)
        w.writebyte(0x44)

    def _open(self, rom, function):
        self.ow.reset(True)
        self.ow.select_rom(rom)
        self.ow.writebyte(function)

    def read_scratch(self, rom):
        self._open(rom, 0xBE)
        self.ow.readinto(self.buf)
        if self.ow.crc8(self.buf):
            raise Exception("CRC error")
        return self.buf

    def write_scratch(self, rom, buf):
        self._open(rom, 0x4E)
        self.ow.write(buf)

    def read_temp(self, rom):
        p = self.read_scratch(rom)
        t = p[0] | p[1] << 8
        if t >> 15:
            t -= 65536
        if rom[0] == 0x10:
            # DS18S20: half degrees, finer by the counter of the conversion.
            return (t >> 1) - 0.25 + (p[7] - p[6]) / p[7]
        return t / 16 if rom[0] in (0x22, 0x28) else None
