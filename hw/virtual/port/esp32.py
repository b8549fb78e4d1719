# esp32 as MicroPython 1.25 has it (no PCNT): loaded part by part.


def __getattr__(n):
    return getattr(__import__({"NVS": "_vnvs", "Partition": "_vpart", "RMT": "_vrmt"}.get(n, "_vwake")), n)
