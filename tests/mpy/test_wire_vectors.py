"""The golden vectors of tests/vectors/wire: the same bytes from and to every interpreter."""

from firmware.protocols import codec, cose, schema
from firmware.protocols.cbor import WireError
from tests.mpy.support import MICROPYTHON, heap_locked, load_json, raises

TOP = "tests/vectors/wire/"


def unhex(text):
    return bytes.fromhex(text.replace(" ", ""))


def vectors():
    for _, module in schema.TYPES.values():
        for vector in load_json(TOP + module + ".json"):
            yield vector


def values_of(vector, message):
    """The list for the encoder. In the files byte strings are hex."""
    values = codec.blank(message)
    for name, value in vector["fields"].items():
        values[schema.index(vector["type"], name)] = unhex(value) if isinstance(value, str) else value
    return values


def test_decode():
    for vector in vectors():
        number, fields = codec.decode(unhex(vector["hex"]))
        assert number == vector["type"]
        for name in fields:
            if isinstance(fields[name], bytes):
                fields[name] = fields[name].hex()
        assert fields == vector["fields"], vector["name"]


def test_encode():
    for vector in vectors():
        message = schema.message(vector["type"])
        expected = unhex(vector["hex"])
        buf = bytearray(b"\xee" * 255)
        room = vector.get("room", 255)
        end = codec.encode_into(buf, 100, message, values_of(vector, message), False, room)
        assert bytes(buf[100:end]) == expected, vector["name"]
        assert buf[:100] == b"\xee" * 100 and buf[end:] == b"\xee" * (255 - end), vector["name"]


def test_encode_allocates_nothing():
    for vector in vectors():
        if vector["name"] == "hello_longest" and MICROPYTHON:
            continue  # 4294901760 is an object on a 32-bit chip, and dividing it up makes more
        message = schema.message(vector["type"])
        values = values_of(vector, message)
        buf = bytearray(160)
        room = vector.get("room", 255)

        # No more than five names: else calling the closure would itself allocate.
        def write(buf=buf, message=message, values=values, room=room):
            return codec.encode_into(buf, 0, message, values, False, room)

        end = heap_locked(write)
        assert bytes(buf[:end]) == unhex(vector["hex"])


def test_each_type_has_its_vectors():
    count = {}
    for vector in vectors():
        count[vector["type"]] = count.get(vector["type"], 0) + 1
        assert len(unhex(vector["hex"])) <= codec.max_len(schema.message(vector["type"]))
    assert sorted(count) == sorted(schema.TYPES)
    assert min(count.values()) >= 3


def test_refused_payloads():
    for vector in load_json(TOP + "refused.json"):
        found = raises(WireError, codec.decode, unhex(vector["hex"])).args[0]
        assert found == vector["reason"], (vector["name"], found)


def test_every_bit_flip_of_a_payload_is_refused_or_means_itself():
    for vector in vectors():
        data = bytearray(unhex(vector["hex"]))
        message = None
        for i in range(len(data)):
            for bit in range(8):
                data[i] ^= 1 << bit
                try:
                    number, fields = codec.decode(bytes(data))
                except WireError:
                    number = 0
                if number:
                    message = schema.message(number)
                    values = codec.blank(message)
                    for name in fields:
                        values[schema.index(number, name)] = fields[name]
                    buf = bytearray(160)
                    end = codec.encode_into(buf, 0, message, values, False, len(data))
                    assert buf[:end] == data, (vector["name"], i, bit)
                data[i] ^= 1 << bit


def aad_of(frame):
    v = frame
    return cose.ext_aad(
        v["alg"],
        v["cose_tag"],
        v["purpose"],
        unhex(v["tenant"]),
        unhex(v["device"]),
        v["epoch"],
        v["dir"],
        v["seq"],
    )


def test_frames():
    kinds = {"mac0": cose.MAC0, "sign1": cose.SIGN1, "encrypt0": cose.ENCRYPT0}
    for v in load_json(TOP + "frames.json"):
        kind = kinds[v["structure"]]
        assert kind == v["cose_tag"]
        aad = aad_of(v)
        assert aad.hex() == v["ext_aad"], v["name"]
        payload = unhex(v["payload"])
        if kind == cose.MAC0:
            to_be = cose.to_be_maced(aad, payload)
        elif kind == cose.SIGN1:
            to_be = cose.to_be_signed(aad, payload)
        else:
            to_be = cose.enc_structure(aad)
        assert to_be.hex() == v["to_be"], v["name"]
        kid = None if v["kid"] is None else unhex(v["kid"])
        body, tag = unhex(v["body"]), unhex(v["tag"])
        frame = unhex(v["frame"])
        buf = bytearray(len(frame))
        assert cose.pack_into(buf, 0, v["seq"], body, tag, kid) == len(frame)
        assert buf == frame, v["name"]
        assert cose.parse(frame) == (kind, v["seq"] & 0xFFFFFF, kid, body, tag), v["name"]
