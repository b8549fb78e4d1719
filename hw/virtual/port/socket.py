# Real sockets, on boards whose scenario allows them. A board that has written and polls for the answer stands
# still in virtual time, and all others with it, until the answer is there or the barrier's patience is spent.
import select

import _vb as b

_sel, _net = b.net if b.net else (None, None)


class socket:
    def __init__(self, *a, real=None):
        if _net is None:
            raise OSError(118)
        self.s = _net.socket(*a) if real is None else real
        self.p = None
        self.w = 0  # 1: an answer is due, 2: a connection
        select.net = barrier

    def __getattr__(self, n):
        return getattr(self.s, n)

    def ioctl(self, req, arg):
        p = self.p
        if p is None:
            self.p = p = _sel.poll()
            p.register(self.s, arg)
        else:
            p.modify(self.s, arg)
        r = p.poll(0)
        if not r:
            return 0
        if self.w == 2:
            self.w = 0
        return r[0][1]

    def _due(self, r):
        self.w = 1
        return r

    def write(self, *a):
        return self._due(self.s.write(*a))

    def send(self, d):
        return self._due(self.s.send(d))

    def sendall(self, d):
        return self._due(self.s.sendall(d))

    def sendto(self, d, a):
        return self._due(self.s.sendto(d, a))

    def _came(self, r):
        # None: the peer's bytes were TLS's own, the answer is still due.
        if r is not None:
            self.w = 0
        return r

    def read(self, *a):
        return self._came(self.s.read(*a))

    def readinto(self, *a):
        return self._came(self.s.readinto(*a))

    def readline(self, *a):
        return self._came(self.s.readline(*a))

    def recv(self, n):
        return self._came(self.s.recv(n))

    def recvfrom(self, n):
        return self._came(self.s.recvfrom(n))

    def connect(self, a):
        self.w = 2
        self.s.connect(a)

    def accept(self):
        s, a = self.s.accept()
        return socket(real=s), a

    def close(self):
        if self.p is not None:
            self.p.unregister(self.s)
            self.p = None
        self.s.close()


def barrier(o):
    if not [1 for e in o if getattr(e[0], "w", 0)]:
        return
    p = _sel.poll()
    for s, mask in o:
        if isinstance(s, socket):
            p.register(s.s, mask)
    if not p.poll(b.cfg[19]):
        for e in o:
            if isinstance(e[0], socket):
                e[0].w = 0


def _cost(what):
    if not b.bg:
        b.call(69, 0, 0, what)


def getaddrinfo(host, port, *a):
    if _net is None:
        raise OSError(-202)
    numeric = host.replace(".", "").isdigit()
    try:
        r = _net.getaddrinfo(host, port, *a)
    except OSError:
        _cost("dns_timeout")
        raise OSError(-202)
    if not numeric:
        _cost("dns")
    return r


def patch(ssl):
    # TLS sockets wrap the real one and are wrapped again; the handshake costs its time here and at once.
    c = ssl.SSLContext
    if hasattr(c, "real"):
        return
    c.real = real = c.wrap_socket

    def wrap(self, s, **k):
        r = socket(real=real(self, s.s if isinstance(s, socket) else s, **k))
        _cost("tls_handshake")
        return r

    c.wrap_socket = wrap


def __getattr__(n):
    return getattr(_net, n)
