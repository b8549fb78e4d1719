# What is left of machine, each in a module of its own.


def __getattr__(n):
    return getattr(
        __import__({"Signal": "_vsig", "ADCBlock": "_vadc", "bitstream": "_vbit"}.get(n, "_vraw")), n
    )
