# Enough of network for a gateway: an interface that is up when the scenario says so.
# ruff: noqa: RET503 - a return that says nothing costs bytes of the heap
import _vb as b

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
PHY_LAN8720 = 0
ETH_CONNECTED = 3


class WLAN:
    _lan = 0
    IF_STA = 0
    IF_AP = 1
    SEC_OPEN = 0
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    def __init__(self, i=0, **k):
        if i == 1:
            raise ValueError("no access point here")

    def _do(self, op, data=b""):
        return b.call(76, op | self._lan, 0, data)

    def active(self, on=None):
        if on is None:
            return bool(self._do(0)[0] & 1)
        return bool(self._do(2 if on else 4)[0] & 1)

    def connect(self, ssid=None, key=None, **k):
        if not self.active():
            raise OSError("Wifi Internal State Error")
        self._do(6, str(ssid).encode())

    def disconnect(self):
        self._do(8)

    def isconnected(self):
        return bool(self._do(0)[0] & 4)

    def status(self, what=None):
        f = self._do(0)[0]
        if what == "rssi":
            return -60
        if self._lan:
            return ETH_CONNECTED if f & 4 else 0
        return STAT_GOT_IP if f & 4 else STAT_CONNECTING if f & 2 else STAT_IDLE

    def ifconfig(self, c=None):
        a = "127.0.0.1" if self.isconnected() else "0.0.0.0"
        return a, "255.0.0.0", a, a

    def ipconfig(self, what=None, **k):
        if what == "addr4":
            return self.ifconfig()[:2]
        if what == "has_dhcp4":
            return self.isconnected()

    def config(self, what=None, **k):
        if what == "mac":
            return b.cfg[17].to_bytes(6, "big")
        return None

    def scan(self):
        return []


class LAN(WLAN):
    _lan = 1

    def __init__(self, **k):
        pass


def country(c=None):
    return "FR"


def hostname(n=None):
    return "lanterne"
