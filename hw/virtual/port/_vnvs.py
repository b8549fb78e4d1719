# esp32.NVS as MicroPython 1.25 has it: signed 32-bit integers and blobs.
import _vb as b


class NVS:
    def __init__(self, ns):
        self.s = ns.encode() + b"\0"
        b.call(110, 0, 0, self.s)

    def _do(self, op, key, data=b"", into=None):
        return b.call(110, op, 0, self.s + key.encode() + b"\0" + data, into)

    def set_i32(self, key, v):
        if not -0x80000000 <= v <= 0x7FFFFFFF:
            raise OverflowError("overflow converting long int to machine word")
        self._do(1, key, (v & 0xFFFFFFFF).to_bytes(4, "little"))

    def get_i32(self, key):
        v = int.from_bytes(self._do(2, key), "little")
        return v - (v >> 31 << 32)

    def set_blob(self, key, v):
        if isinstance(v, str):
            v = v.encode()
        self._do(3, key, bytes(v))

    def get_blob(self, key, buf):
        n = len(buf)
        r = self._do(4, key, n.to_bytes(4, "little"))
        n = len(r) if r else 0
        if n:
            memoryview(buf)[:n] = r
        return n

    def erase_key(self, key):
        self._do(5, key)

    def commit(self):
        self._do(6, "")
