# poll() over streams of this board (anything with an ioctl method) and, where allowed, real sockets.
# ruff: noqa: RET503 - a return that says nothing costs bytes of the heap
import _vb as b

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
net = None  # socket.barrier, once a socket was made


class poll:
    def __init__(self):
        self.o = []

    def register(self, s, mask=5):
        for e in self.o:
            if e[0] is s:
                e[1] = mask
                return
        self.o.append([s, mask])

    modify = register

    def unregister(self, s):
        for e in self.o:
            if e[0] is s:
                self.o.remove(e)
                return

    def _scan(self):
        r = ()
        for e in self.o:
            s = e[0]
            ev = s.ioctl(3, e[1])
            if ev:
                r += ((s, ev),)
        return r

    def ipoll(self, dt=-1, flags=0):
        b.turn()
        until = b.now + dt * 1000 if dt >= 0 else 1 << 59
        while 1:
            if net:
                # Before anything else is looked at: else what the board does next would depend on whether the
                # peer was quicker than this scan.
                net(self.o)
            r = self._scan()
            if r or b.now >= until:
                return r
            b.wait(until, 2)

    def poll(self, dt=-1):
        return list(self.ipoll(dt))
