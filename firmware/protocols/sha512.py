# ruff: noqa: F821 - viper's types are no names of CPython
"""SHA-512 (FIPS 180-4 section 6.4): hashlib's where the interpreter has it, else viper machine code.

`sha512(*parts)` gives the 64-byte digest of the parts one after the other (any buffers).
MicroPython hashes one message at a time in buffers made at import: not for interrupt handlers or threads.
"""

try:
    from hashlib import sha512 as _native  # type: ignore[attr-defined] - MicroPython's stub

    def sha512(*parts):  # type: ignore[no-redef] - the same function, once per interpreter
        return _native(b"".join(parts)).digest()

except ImportError:  # MicroPython has MD5, SHA-1 and SHA-256 only
    from firmware.protocols.compat import micropython

    # FIPS 180-4 section 4.2.3, big endian. Read by bytes: a literal in flash need not be aligned to words.
    _K = (
        b"\x42\x8a\x2f\x98\xd7\x28\xae\x22\x71\x37\x44\x91\x23\xef\x65\xcd\xb5\xc0\xfb\xcf\xec\x4d\x3b\x2f\xe9\xb5"
        b"\xdb\xa5\x81\x89\xdb\xbc\x39\x56\xc2\x5b\xf3\x48\xb5\x38\x59\xf1\x11\xf1\xb6\x05\xd0\x19\x92\x3f\x82\xa4"
        b"\xaf\x19\x4f\x9b\xab\x1c\x5e\xd5\xda\x6d\x81\x18\xd8\x07\xaa\x98\xa3\x03\x02\x42\x12\x83\x5b\x01\x45\x70"
        b"\x6f\xbe\x24\x31\x85\xbe\x4e\xe4\xb2\x8c\x55\x0c\x7d\xc3\xd5\xff\xb4\xe2\x72\xbe\x5d\x74\xf2\x7b\x89\x6f"
        b"\x80\xde\xb1\xfe\x3b\x16\x96\xb1\x9b\xdc\x06\xa7\x25\xc7\x12\x35\xc1\x9b\xf1\x74\xcf\x69\x26\x94\xe4\x9b"
        b"\x69\xc1\x9e\xf1\x4a\xd2\xef\xbe\x47\x86\x38\x4f\x25\xe3\x0f\xc1\x9d\xc6\x8b\x8c\xd5\xb5\x24\x0c\xa1\xcc"
        b"\x77\xac\x9c\x65\x2d\xe9\x2c\x6f\x59\x2b\x02\x75\x4a\x74\x84\xaa\x6e\xa6\xe4\x83\x5c\xb0\xa9\xdc\xbd\x41"
        b"\xfb\xd4\x76\xf9\x88\xda\x83\x11\x53\xb5\x98\x3e\x51\x52\xee\x66\xdf\xab\xa8\x31\xc6\x6d\x2d\xb4\x32\x10"
        b"\xb0\x03\x27\xc8\x98\xfb\x21\x3f\xbf\x59\x7f\xc7\xbe\xef\x0e\xe4\xc6\xe0\x0b\xf3\x3d\xa8\x8f\xc2\xd5\xa7"
        b"\x91\x47\x93\x0a\xa7\x25\x06\xca\x63\x51\xe0\x03\x82\x6f\x14\x29\x29\x67\x0a\x0e\x6e\x70\x27\xb7\x0a\x85"
        b"\x46\xd2\x2f\xfc\x2e\x1b\x21\x38\x5c\x26\xc9\x26\x4d\x2c\x6d\xfc\x5a\xc4\x2a\xed\x53\x38\x0d\x13\x9d\x95"
        b"\xb3\xdf\x65\x0a\x73\x54\x8b\xaf\x63\xde\x76\x6a\x0a\xbb\x3c\x77\xb2\xa8\x81\xc2\xc9\x2e\x47\xed\xae\xe6"
        b"\x92\x72\x2c\x85\x14\x82\x35\x3b\xa2\xbf\xe8\xa1\x4c\xf1\x03\x64\xa8\x1a\x66\x4b\xbc\x42\x30\x01\xc2\x4b"
        b"\x8b\x70\xd0\xf8\x97\x91\xc7\x6c\x51\xa3\x06\x54\xbe\x30\xd1\x92\xe8\x19\xd6\xef\x52\x18\xd6\x99\x06\x24"
        b"\x55\x65\xa9\x10\xf4\x0e\x35\x85\x57\x71\x20\x2a\x10\x6a\xa0\x70\x32\xbb\xd1\xb8\x19\xa4\xc1\x16\xb8\xd2"
        b"\xd0\xc8\x1e\x37\x6c\x08\x51\x41\xab\x53\x27\x48\x77\x4c\xdf\x8e\xeb\x99\x34\xb0\xbc\xb5\xe1\x9b\x48\xa8"
        b"\x39\x1c\x0c\xb3\xc5\xc9\x5a\x63\x4e\xd8\xaa\x4a\xe3\x41\x8a\xcb\x5b\x9c\xca\x4f\x77\x63\xe3\x73\x68\x2e"
        b"\x6f\xf3\xd6\xb2\xb8\xa3\x74\x8f\x82\xee\x5d\xef\xb2\xfc\x78\xa5\x63\x6f\x43\x17\x2f\x60\x84\xc8\x78\x14"
        b"\xa1\xf0\xab\x72\x8c\xc7\x02\x08\x1a\x64\x39\xec\x90\xbe\xff\xfa\x23\x63\x1e\x28\xa4\x50\x6c\xeb\xde\x82"
        b"\xbd\xe9\xbe\xf9\xa3\xf7\xb2\xc6\x79\x15\xc6\x71\x78\xf2\xe3\x72\x53\x2b\xca\x27\x3e\xce\xea\x26\x61\x9c"
        b"\xd1\x86\xb8\xc7\x21\xc0\xc2\x07\xea\xda\x7d\xd6\xcd\xe0\xeb\x1e\xf5\x7d\x4f\x7f\xee\x6e\xd1\x78\x06\xf0"
        b"\x67\xaa\x72\x17\x6f\xba\x0a\x63\x7d\xc5\xa2\xc8\x98\xa6\x11\x3f\x98\x04\xbe\xf9\x0d\xae\x1b\x71\x0b\x35"
        b"\x13\x1c\x47\x1b\x28\xdb\x77\xf5\x23\x04\x7d\x84\x32\xca\xab\x7b\x40\xc7\x24\x93\x3c\x9e\xbe\x0a\x15\xc9"
        b"\xbe\xbc\x43\x1d\x67\xc4\x9c\x10\x0d\x4c\x4c\xc5\xd4\xbe\xcb\x3e\x42\xb6\x59\x7f\x29\x9c\xfc\x65\x7e\x2a"
        b"\x5f\xcb\x6f\xab\x3a\xd6\xfa\xec\x6c\x44\x19\x8c\x4a\x47\x58\x17"
    )
    # The initial value (section 5.3.5) in the order of the rows below, as the words lie in memory.
    _H = (
        b"\x3a\xf5\x4f\xa5\xf1\x36\x1d\x5f\x19\xcd\xe0\x5b\x79\x21\x7e\x13\x72\xf3\x6e\x3c\x2b\xf8\x94\xfe\xab\xd9"
        b"\x83\x1f\x6b\xbd\x41\xfb\x85\xae\x67\xbb\x3b\xa7\xca\x84\x8c\x68\x05\x9b\x1f\x6c\x3e\x2b\x67\xe6\x09\x6a"
        b"\x08\xc9\xbc\xf3\x7f\x52\x0e\x51\xd1\x82\xe6\xad"
    )
    # 32-bit words, high half of a 64-bit word first. 0: the hash value as four rows (d h) (c g) (b f) (a e).
    # 16: sixteen words of the message schedule. 48: the rows of sixteen rounds after the four before them.
    _state = bytearray(4 * 128)

    # In the viper functions 64-bit words are worked on in 32-bit halves, low half first (i = 1), and sums in
    # 16-bit halves, whose carries need no compare: the same bits come out on 32- and 64-bit machines.
    # Arguments z, m, x are there because the emitter keeps the first three variables in registers.

    @micropython.viper
    def _load(state, data, at: int):
        # The block at `at` into the schedule, the hash value into the last rows.
        s = ptr32(state)
        last = ptr32(int(s) + 448)
        w = ptr8(int(s) + 64)
        d = ptr8(int(ptr8(data)) + at)
        for n in range(128):
            w[n ^ 3] = d[n]
        for n in range(16):
            last[n] = s[n]

    @micropython.viper
    def _schedule(z: uint, m: uint, x: uint, state):
        # W_t+16 = W_t + sigma0(W_t+1) + W_t+9 + sigma1(W_t+14), in the place of W_t (section 6.4.2, step 1)
        m = uint(0xFFFF)
        w = ptr32(int(ptr32(state)) + 64)
        for t in range(0, 32, 2):
            c = uint(0)
            i = 1
            while i >= 0:
                n = (t + 2 & 31) + i
                x = uint(w[n])
                y = uint(w[n ^ 1])
                z = (x >> 1 | y << 31) ^ (x >> 8 | y << 24) ^ x >> 7
                if i:
                    z ^= y << 25
                lo = c + (z & m)
                hi = z >> 16 & m
                n = (t + 28 & 31) + i
                x = uint(w[n])
                y = uint(w[n ^ 1])
                z = (x >> 19 | y << 13) ^ (y >> 29 | x << 3) ^ x >> 6
                if i:
                    z ^= y << 26
                x = uint(w[t + i])
                y = uint(w[(t + 18 & 31) + i])
                lo += (z & m) + (x & m) + (y & m)
                hi += (z >> 16 & m) + (x >> 16) + (y >> 16) + (lo >> 16)
                w[t + i] = int(hi << 16 | lo & m)
                c = hi >> 16
                i -= 1

    @micropython.viper
    def _rounds(z: uint, m: uint, x: uint, state, k, at: int):
        # Sixteen rounds (section 6.4.2, step 3). A row holds the new a and e of a round; b c d and f g h are
        # the a and e of the three rows before it: q points at this half of row (d h), o at the other half.
        m = uint(0xFFFF)
        w = ptr32(int(ptr32(state)) + 64)
        p = ptr32(int(w) + 128)
        k8 = ptr8(int(ptr8(k)) + at)
        for n in range(16):
            p[n] = p[64 + n]
        for t in range(0, 32, 2):
            ct = uint(0)
            ca = uint(0)
            ce = uint(0)
            i = 1
            while i >= 0:
                q = ptr32(int(p) + (i << 2))
                o = ptr32(int(p) + ((i ^ 1) << 2))
                # T1 = h + Sigma1(e) + Ch(e, f, g) + K_t + W_t
                x = uint(q[14])
                y = uint(o[14])
                z = (x >> 14 | y << 18) ^ (x >> 18 | y << 14) ^ (y >> 9 | x << 23)
                lo = ct + (z & m)
                hi = z >> 16 & m
                z = uint(q[6])
                z = (uint(q[10]) ^ z) & x ^ z
                x = uint(q[2])
                y = uint(w[t + i])
                lo += (z & m) + (x & m) + (y & m)
                hi += (z >> 16) + (x >> 16) + (y >> 16)
                n = i << 2
                lo += uint(k8[n + 2] << 8 | k8[n + 3])
                hi += uint(k8[n] << 8 | k8[n + 1]) + (lo >> 16)
                lo &= m
                ct = hi >> 16
                hi &= m
                # e = d + T1
                z = uint(q[0])
                x = ce + (z & m) + lo
                y = (z >> 16) + hi + (x >> 16)
                q[18] = int(y << 16 | x & m)
                ce = y >> 16
                # a = T1 + Sigma0(a) + Maj(a, b, c)
                x = uint(q[12])
                y = uint(o[12])
                z = (x >> 28 | y << 4) ^ (y >> 2 | x << 30) ^ (y >> 7 | x << 25)
                lo += ca + (z & m)
                hi += z >> 16 & m
                y = uint(q[8])
                z = uint(q[4])
                z = x & y | z & (x | y)
                lo += z & m
                hi += (z >> 16) + (lo >> 16)
                q[16] = int(hi << 16 | lo & m)
                ca = hi >> 16
                i -= 1
            p = ptr32(int(p) + 16)
            k8 = ptr8(int(k8) + 8)

    @micropython.viper
    def _sum(state):
        # The last rows added to the hash value (section 6.4.2, step 4)
        m = uint(0xFFFF)
        s = ptr32(state)
        c = uint(0)
        n = 15
        while n >= 0:
            x = uint(s[n])
            y = uint(s[112 + n])
            lo = c + (x & m) + (y & m)
            hi = (x >> 16) + (y >> 16) + (lo >> 16)
            s[n] = int(hi << 16 | lo & m)
            c = (hi >> 16) * uint(n & 1)
            n -= 1

    def _block(data, at):
        _load(_state, data, at)
        for r in range(0, 640, 128):
            if r:
                _schedule(0, 0, 0, _state)
            _rounds(0, 0, 0, _state, _K, r)
        _sum(_state)

    def sha512(*parts):
        if len(parts) == 1:
            data = parts[0]
        else:
            data = bytearray()
            for part in parts:
                data.extend(part)
        s = _state
        s[:64] = _H
        n = len(data)
        at = 0
        while at + 128 <= n:
            _block(data, at)
            at += 128
        # Section 5.1.2: one bit, zeros, and the length in bits in the last 16 bytes (here below 2**35 bits).
        tail = bytearray(128 if n - at < 112 else 256)
        tail[: n - at] = memoryview(data)[at:]
        tail[n - at] = 0x80
        tail[-5:] = (n << 3).to_bytes(5, "big")
        for i in range(0, len(tail), 128):
            _block(tail, i)
        out = bytearray(64)
        for i in range(64):
            # rows (d h) (c g) (b f) (a e) of little-endian words back to a b c d e f g h
            out[i] = s[(3 - (i >> 3 & 3)) * 16 + (i >> 5) * 8 + (i & 7 ^ 3)]
        return bytes(out)
