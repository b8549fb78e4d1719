"""What a driver may raise. `args` are machine-readable: part name, then register, errno or a short word."""


class DriverError(Exception):
    """Any of the following."""


class BusError(DriverError):
    """The transfer failed or made no sense (BUSY stuck, bad checksum); the same call may succeed again."""


class ChipError(DriverError):
    """The part answers and says that it is at fault."""


class NotReady(DriverError):
    """No result yet, or the part is doing something else."""


class ConfigError(DriverError):
    """The caller asked for what the part cannot do; args[0] is the name of the parameter."""
