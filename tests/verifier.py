"""An independent verifier: `python tests/verifier.py CAPTURE KEYS...` prints what `lanterne decode CAPTURE
--keys KEYS --format verify` prints. It knows the specification, cbor2 and pyca/cryptography, and nothing of
Lanterne's code. Left out: forked checkpoints, frames that a holder of the MAC key slipped in, numbers above
2^25, epochs closed for 14 days, disclosed keys, the ranges of fields."""

# fmt: off
# ruff: noqa: E401, I001, PTH123, SIM115 - it has 200 lines at most
import hashlib, hmac, itertools, json, struct, sys, time
from decimal import Decimal
from types import SimpleNamespace as Namespace
import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
TYPES = (  # by message type: name, then fields from key 4 on with their decimals
    "", "hello boot_count reset_cause last_seq bundle protection clock_generation overwritten recovered plan",
    "lamp level target reason power/1 energy burn_time/1 temperature/1 commanded switch_count",
    "bin fill distance/3 quality fill_class temperature/1 tilt distances/3 fault fill_speed/1 full_in hatch"
    " compactor cycles", "leak index/3 flow/1 hourly leak_state pressure",
    "site level power/1 fill flow/1 leak_state", "cabinet contactor target reason local power power_l1 power_l2"
    " power_l3 energy burn_time/1 switches voltage_l1/1 voltage_l2/1 voltage_l3/1 photocell")
RESULTS = {2: "checkpoint covers head", 3: "result cseq outcome last_cseq", 4: "leaf cseq - of_seq leaf"}
PURPOSES = {10: 0, 11: 1, 12: 3, 13: 4, 15: 6}  # of uplinks, by port
DEPTH = "bad_signature bad_tag no_key wrong_structure wrong_purpose link_number malformed fragment_incomplete"
UNDECIDED = ("unknown_device", "unknown_tenant", "no_key", "fragment_incomplete")
def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def strict(data):
    item = cbor2.loads(data)
    assert cbor2.dumps(item, canonical=True) == data
    return item

def attempt(function, *args):
    """What a function returns, or why it refused: the words of an assertion, else `malformed`."""
    try:
        return function(*args) or ""
    except Exception as why:
        return str(why) if type(why) is AssertionError and why.args else "malformed"

def take_apart(e, rings):
    """Set the parts of an uplink of known senders and return nothing; else the reason."""
    assert e.frame and e.frame[0] == 0xE0 and (11 if e.frame[1] > 127 else 7) <= len(e.frame) <= 255
    port, tag, short, number = struct.unpack_from(">BBHH", e.frame, 1)
    e.records, body = rings.get((tag, short), []), e.frame[7:]
    stranger = "unknown_device" if tag in {t for t, _ in rings} else "unknown_tenant"
    if port & 128:  # a downlink: no reader has its key
        return "wrong_port" if port & 127 not in (12, 13, 14) else "no_key" if e.records else stranger
    assert port in PURPOSES, "wrong_port"
    e.purpose = PURPOSES[port]
    if not attempt(open_cose, e, body):
        assert e.piv & 0xFFFF == number, "link_number"
    else:
        assert port == 11 and len(body) > 3 and body[2] >> 4 <= body[2] & 15
        assert struct.unpack_from(">H", body)[0] == number, "link_number"
        e.part = (tag, short, number, body[2] & 15), body[2] >> 4, body[3:]
    return "" if e.records else stranger

def open_cose(e, body):
    parts = strict(body)
    piv = parts[1][6]
    assert type(parts) is list and len(parts) in (3, 4) and parts[0] == b"" and len(parts[1]) == 1
    assert all(type(p) is bytes for p in [piv, *parts[2:]]) and len(piv) == 3
    e.piv, e.body, e.mac = int.from_bytes(piv, "big"), parts[2], b"".join(parts[3:])
    assert len(e.mac) in (8, 64) if len(parts) == 4 else len(e.body) >= 8
    e.structure, e.tag = {0: ("encrypt0", 16), 8: ("mac0", 17), 64: ("sign1", 18)}[len(e.mac)]

def verify(e):
    """Set `e.found` if a record and a number fit; else why not, from the candidate that got furthest."""
    reasons = []
    for r in e.records:
        pin = r.purposes.get(str(e.purpose), {})
        wrong = pin.get("structure") != e.structure
        if wrong or (pin["key"] != "sign" and pin["key"] not in r.keys):
            reasons.append("wrong_purpose" if not pin else "wrong_structure" if wrong else "no_key")
            continue
        reasons.append("bad_signature" if e.mac[8:] else "bad_tag")
        for seq in (e.piv or 1 << 24, 1 << 24 | e.piv):
            aad = cbor2.dumps([1, pin["alg"], e.tag, e.purpose, r.t, r.d, r.epoch, 0, seq])
            payload = attempt(unseal, r, bytes.fromhex(r.keys.get(pin["key"], "")), e, aad, seq)
            if payload != "malformed":
                e.found = r.found.setdefault(aad + payload, content(r, e, seq, aad, payload))
                return ""
    return min(reasons, key=DEPTH.index)

def unseal(r, key, e, aad, seq):
    if e.structure == "sign1":
        r.public.verify(e.mac, cbor2.dumps(["Signature1", b"", aad, e.body]))
    elif e.structure == "mac0":
        assert hmac.digest(key, cbor2.dumps(["MAC0", b"", aad, e.body]), "sha256")[:8] == e.mac
    else:
        nonce = bytes([r.epoch & 255]) + r.d + struct.pack(">I", seq)
        return AESCCM(key, tag_length=8).decrypt(nonce, e.body, cbor2.dumps(["Encrypt0", b"", aad]))
    return e.body

def content(r, e, seq, aad, payload):
    salt = hmac.digest(bytes.fromhex(r.keys["leaf"]), struct.pack(">I", seq), "sha256")[:16]
    leaf = sha(cbor2.dumps(["LL1", aad, payload, salt]))
    f = Namespace(r=r, seq=seq, purpose=e.purpose, leaf=leaf, signed=e.structure == "sign1", refuted=False)
    f.type, f.time, f.words = "-", "-", []
    f.reason = attempt(read, f, payload)
    return f

def read(f, payload):
    items, at, words = strict(payload), "-", []
    kind, *names = (RESULTS[len(items)] if f.purpose else TYPES[items[0]]).split()
    names = names if f.purpose else ["time", "time", "supply/3", "alarms", *names, *["-"] * 16]
    for key, value in enumerate(items) if f.purpose else items[1].items():
        name, _, scale = names[key].partition("/")
        values = itertools.accumulate(value) if type(value) is list else [value]
        texts = [v.hex() if type(v) is bytes else f"{Decimal(v).scaleb(-int(scale or 0)):f}" for v in values]
        if name == "time":
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1767225600 + value)) + "?" * key
        elif name != "-":
            words.append(f"{name}={','.join(texts)}")
    f.items, f.type, f.time, f.words = items, kind, at, words

def state(f):
    others = [o for o in f.r.found.values() if o.seq == f.seq and o is not f]
    if f.reason or (not f.signed and (f.refuted or any(o.signed for o in others))):
        return f"rejected {f.reason or 'conflict'}"
    if (not f.signed and others) or f.seq > f.r.tainted:
        return "contested equivocation"
    return "contested revoked" if f.r.status == "revoked" else "signed -" if f.signed else "authenticated -"

def settle(r):
    """Walk the chain of a device and epoch from signed head to signed head; a lost one is recomputed."""
    found, leaves = list(r.found.values()), {}
    for f in found:
        if f.purpose in (0, 3):
            leaves.setdefault(f.seq, set()).add(f.leaf)
        if f.type == "leaf":
            leaves.setdefault(f.items[2], set()).add(f.items[3])
    checkpoints = sorted((f.seq, *f.items) for f in found if f.type == "checkpoint")
    last, head = 0, sha(cbor2.dumps(["LC1", r.t, r.d, r.epoch, sha(bytes.fromhex(r.public_key))]))[:16]
    for k, n, signed_head in checkpoints:
        between = sorted(s for s in leaves if last < s < k)
        lead, tail, heads, low = between[:-n], between[-n:], {head}, last
        for i, s in enumerate(lead):
            heads = {sha(h, leaf) for h in heads for leaf in leaves[s]}
            cut = {h[:16] for h in heads} if s + 1 not in leaves else set()
            heads, low = (cut if i == len(lead) - 1 else heads | cut), s
        paths = {h: () for h in heads if len(tail) == n}
        for s in tail:
            paths = {sha(h, leaf): (*way, (s, leaf)) for h, way in paths.items() for leaf in leaves[s]}
        members = {m for h, way in paths.items() if h[:16] == signed_head for m in way}
        for f in found if members else []:
            f.signed |= (f.seq, f.leaf) in members
            f.refuted |= low < f.seq < k and not f.signed
        last, head = k, signed_head
    twice = [f.seq for f in found if sum(o.signed for o in found if o.seq == f.seq) > 1]
    r.tainted = min((max([k for k, _, _ in checkpoints if k < s], default=0) for s in twice), default=2**32)

def load(paths):
    """Candidates by (tag, address): two epochs of each device, newest first, four devices."""
    every, rings = [r for p in paths for r in json.load(open(p))["devices"]], {}
    for r in sorted(every, key=lambda r: (r["tenant"], r["device"], -r["epoch"])):
        r |= {"t": bytes.fromhex(r["tenant"]), "d": bytes.fromhex(r["device"]), "found": {}}
        r["public"] = Ed25519PublicKey.from_public_bytes(bytes.fromhex(r["public_key"]))
        ring = rings.setdefault((int(r["link"]["tag"], 16), r["link"]["address"]), {})
        ring.setdefault(r["t"] + r["d"], []).append(Namespace(**r))
    return {a: [r for rs in list(ring.values())[:4] for r in rs[:2]] for a, ring in rings.items()}

def capture(path):
    """One entry for each distinct frame of a pcap file (link type 270, LoRaTap version 0)."""
    data, at, entries = open(path, "rb").read(), 24, {}
    while at + 16 <= len(data):
        _, _, size, whole = struct.unpack_from("<IIII" if data[0] == 0xD4 else ">IIII", data, at)
        record, at = data[at + 16 : at + 16 + size], at + 16 + size
        frame = record[15:] if size == whole and size >= 15 and not record[0] and record[3] == 15 else None
        key = sha(b"record" + record if frame is None else frame)
        if len(record) == size and not (frame and frame[0] in range(0, 0xE0, 32)):  # LoRaWAN: other keys
            e = entries.setdefault(key, Namespace(frame=frame, key=key, count=0, found=None, part=None))
            e.count += 1
    return list(entries.values())

def main(path, *keys):
    rings, entries, rows = load(keys), capture(path), []
    for e in entries:
        e.reason = attempt(take_apart, e, rings)
        e.reason = e.reason or ("fragment_incomplete" if e.part else verify(e))
    for group in {e.part[0] for e in entries if e.part and e.records}:
        slots = [[e for e in entries if e.part and e.part[:2] == (group, i)] for i in range(group[3] + 1)]
        for parts in itertools.product(*slots):
            j = Namespace(records=parts[0].records, purpose=1, found=None)
            j.reason = attempt(open_cose, j, b"".join(p.part[2] for p in parts))
            j.reason = j.reason or ("link_number" if j.piv & 0xFFFF != group[2] else verify(j))
            for p in parts:
                p.found = p.found or j.found
                p.reason = min(p.reason, j.reason or p.reason, key=DEPTH.index)
    list(map(settle, itertools.chain(*rings.values())))
    for e in entries:
        row = ("", 0, 0, "-", f"{'unverified' if e.reason in UNDECIDED else 'rejected'} {e.reason}", "-")
        part = [f"part={e.part[1]}", f"parts={e.part[0][3] + 1}"] if e.part else []
        if f := e.found:
            row = (f.r.device, f.r.epoch, f.seq, "fragment" if part else f.type, state(f), f.time)
        rows.append((*row, e.count, e.key.hex()[:16], *(part + f.words if f else [])))
    for row in sorted(rows, key=lambda row: (*row[:3], row[7])):
        print(*[word or "-" for word in row])

main(*sys.argv[1:])
