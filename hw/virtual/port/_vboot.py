# Puts the stand-ins in place and mounts the file systems. This module is given back to the heap before the
# first line of the firmware runs; what stays is in _vb and _vh.
import builtins
import sys


def real(name):
    # The built-in module, before the path leads to its stand-in.
    m = __import__(name)
    sys.modules.pop(name, None)
    return m


def mount(b, vfs, lfs):
    import esp32

    try:
        dev = esp32.Partition("vfs")
    except OSError:
        return
    try:
        fs = lfs(dev)
    except OSError:
        buf = bytearray(4096)
        dev.readblocks(0, buf)
        if buf.count(b"\xff") != 4096:
            # As the frozen inisetup of stock MicroPython: it never leaves this loop.
            while 1:
                builtins.print("The filesystem appears to be corrupted.")
                b.call(67)
                b.wait(b.now + 3000000)
        lfs.mkfs(dev)
        fs = lfs(dev)
    vfs.mount(fs, "/")


def go():
    path = sys.path[:]
    sys.path[:] = []
    gc, os, random, vfs, mp, sel, sock = [
        real(n) for n in ("gc", "os", "random", "vfs", "micropython", "select", "socket")
    ]
    time = real("time")
    sys.path[:] = path
    import _vb as b

    b.rt = time
    b.cfg = b.array(b._T, b.call(66))
    if b.cfg[13] & 1:
        b.net = sel, sock
    random.seed(b.cfg[0])
    import _vh as h

    main, fw = sys.argv[1:3]
    vfs.mount(vfs.VfsPosix(path[-1]), "/.port")
    if fw != "-":
        vfs.mount(vfs.VfsPosix(fw), "/.fw")
        p = ["/.fw", ".frozen", "/.port"]
        fw = "/.fw/"
    else:
        p = ["", ".frozen", "/lib", "/.port"]
        fw = "/"
    lfs = h.place(gc, os, vfs, mp)
    mount(b, vfs, lfs)
    os.chdir("/")
    sys.path[:] = p
    sys.argv[:] = [""]
    sys.modules.pop("_vboot")
    return fw + "boot.py", fw + main
