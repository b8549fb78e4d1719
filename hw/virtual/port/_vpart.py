# esp32.Partition. Reads go to the flash's file, changes through the host.
import _vb as b


def _parts():
    return [r.split(" ") for r in str(b.call(108), "utf8").split("\n")]


class Partition:
    TYPE_APP = 0
    TYPE_DATA = 1
    BOOT = 0
    RUNNING = 1
    _f = None

    def __init__(self, label):
        for r in _parts():
            if r[4] == label or (r[0] == "0" and label in (0, 1)):
                self._set(r)
                return
        raise OSError(2)

    def _set(self, r):
        self.a = int(r[2])
        self.z = int(r[3])
        self.r = r

    @staticmethod
    def find(type=0, subtype=255, label=None, block_size=4096):
        v = []
        for r in _parts():
            if int(r[0]) == type and subtype in (255, int(r[1])) and label in (None, r[4]):
                p = object.__new__(Partition)
                p._set(r)
                v.append(p)
        return v

    def info(self):
        return int(self.r[0]), int(self.r[1]), self.a, self.z, self.r[4], False

    def _at(self, blk, off, n):
        off += blk * 4096
        if off < 0 or off + n > self.z:
            raise OSError(-0x104, "ESP_ERR_INVALID_SIZE")
        return self.a + off

    def readblocks(self, blk, buf, off=0):
        n = len(buf)
        at = self._at(blk, off, n)
        f = Partition._f
        if f is None:
            Partition._f = f = open(5, "rb")
        f.seek(at)
        f.readinto(buf)
        b.charge(b.cfg[8] + (n * b.cfg[9] >> 10))

    def writeblocks(self, blk, buf, off=None):
        # The form with an offset is for file systems that erase by themselves; the other erases first.
        b.call(102, 1 if off is None else 2, self._at(blk, off or 0, len(buf)), buf)

    def ioctl(self, op, arg=0):
        if op == 4:
            return self.z >> 12
        if op == 5:
            return 4096
        if op == 6:
            b.call(102, 3, self._at(arg, 0, 4096))
        return 0

    def set_boot(self):
        pass

    def get_next_update(self):
        raise OSError(2)
