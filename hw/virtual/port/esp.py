# esp: what boot.py files ask for.
from esp32 import Partition

LOG_NONE, LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_VERBOSE = range(6)


def osdebug(uart=None, level=LOG_ERROR):
    pass


def flash_size():
    return 4 << 20


def flash_user_start():
    return Partition.find(Partition.TYPE_DATA, label="vfs")[0].info()[2]
