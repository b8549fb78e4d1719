"""The verdict on a frame and why: keys and numbers tried, checkpoints that vouch, what else was said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from host_tools.explain.layers import dbm, mhz
from host_tools.explain.tree import Fact
from host_tools.frames import Frame, Radio
from host_tools.lorawan.sessions import Opened
from host_tools.output import counted, say
from host_tools.receiver import Entry, Receiver
from host_tools.rows import Row, utc
from host_tools.verdict import Verified
from host_tools.view import Epoch

MAX_RECEPTIONS = 20


def facts(
    receiver: Receiver, entry: Entry, row: Row, found: Sequence[Frame], opened: Opened | None
) -> Iterator[Fact]:
    for n, frame in enumerate(found[:MAX_RECEPTIONS]):
        yield Fact(f"received_{n + 1}", _received(frame))
    if len(found) > MAX_RECEPTIONS:
        more = len(found) - MAX_RECEPTIONS
        yield Fact("received_more", say(f"and {more} times more", f"et {more} fois encore"), more)
    if not found:
        yield Fact("received_1", utc(row.received_at))
    who = f"{row.name} ({row.device})" if row.name else row.device or say("nobody known", "inconnu")
    if row.seq:
        who += say(f", epoch {row.epoch}, number {row.seq}", f", époque {row.epoch}, numéro {row.seq}")
    yield Fact("device", who)
    if opened is not None and not opened.reason:
        yield _session(opened)
        sessions = list(_sessions(receiver, entry, opened))
        if sessions:
            yield Fact("sessions", sessions[0], sessions, sessions[1:])
    tried = list(_tried(entry))
    if tried:
        yield Fact("tried", tried[0], tried, tried[1:])
    yield Fact("verdict", row.state + (f": {row.reason}" if row.reason else ""), more=_why(row, entry))
    if row.key:
        yield Fact("key", row.key)
    yield from _chain(receiver, entry, row)
    for name, value in row.values.items():
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield Fact(f"value {name}", f"{name} = {text}", text)


def _received(frame: Frame) -> str:
    radio = frame.radio
    words = [utc(frame.time_us) if frame.time_us else say("no time", "sans heure")]
    if radio.freq_hz:
        words.append(mhz(radio.freq_hz))
    if radio.sf:
        words.append(f"SF{radio.sf}/{radio.bw_hz // 1000}")
    if radio.rssi_qdbm != Radio().rssi_qdbm:
        words += [f"RSSI {dbm(radio.rssi_qdbm)}", f"SNR {dbm(radio.snr_qdb, 'dB')}"]
    if frame.gateway:
        words.append(say("gateway ", "passerelle ") + frame.gateway.hex())
    if frame.network is not None:
        words.append(say("told by a network server", "dit par un serveur de réseau"))
    return "  ".join(words)


def _session(opened: Opened) -> Fact:
    words = [opened.mtype or say("no LoRaWAN frame", "pas une trame LoRaWAN")]
    if opened.dev_addr is not None:
        words.append(f"DevAddr {opened.dev_addr:08x}")
    if opened.dev_eui:
        words.append(f"DevEUI {opened.dev_eui.hex()}" + (f" ({opened.name})" if opened.name else ""))
    if opened.fcnt is not None:
        words.append(say(f"counter {opened.fcnt}", f"compteur {opened.fcnt}"))
    words.append(
        {
            "good": say("MIC good", "MIC juste"),
            "bad": say("MIC fits no key at hand", "MIC sans clé correspondante"),
            "network": say(
                "opened by a network server: only its word", "ouvert par un serveur : sa parole seule"
            ),
        }.get(opened.mic, say("MIC not checked: no key at hand", "MIC non vérifié : aucune clé"))
    )
    return Fact("lorawan", ", ".join(words))


def _sessions(receiver: Receiver, entry: Entry, opened: Opened) -> Iterator[str]:
    """Each session of the frame's DevAddr, and the counters that its 16 bits can mean there."""
    assert entry.token is not None
    for dev_eui, name, counters in receiver.sessions.tried(entry.token):
        who = name or dev_eui.hex() or say("a session without a name", "une session sans nom")
        what = say(f"{who}: counters {_some(counters)}", f"{who} : compteurs {_some(counters)}")
        fits = opened.mic == "good" and dev_eui == opened.dev_eui and opened.fcnt in counters
        if fits:
            what += say(f": {opened.fcnt} fits", f" : {opened.fcnt} correspond")
        yield what if fits or opened.mic == "good" else what + say(": none fits", " : aucun ne correspond")


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:6])) + (f" ... ({len(numbers)})" if len(numbers) > 6 else "")


def _tried(entry: Entry) -> Iterator[str]:
    """Each key record that the address allows, and the numbers that the 24 bits can mean under it."""
    parsed = entry.parsed
    if parsed.reason or parsed.direction:
        return
    for epoch in entry.epochs:
        record = epoch.record
        who = say(f"{record.name} epoch {record.epoch}: ", f"{record.name} époque {record.epoch} : ")
        if parsed.part is not None:
            yield who + _fragments(entry, epoch)
            continue
        refusal = epoch.opener.refusal(parsed)
        pin = record.purposes.get(parsed.purpose)
        if refusal or pin is None:
            yield who + refusal
            continue
        numbers = epoch.trials(parsed.piv)
        listed = _some(numbers)
        key = (
            say("public key", "clé publique")
            if pin.key == "sign"
            else say(f"key {pin.key}", f"clé {pin.key}")
        )
        what = f"{pin.structure}, {key}, " + say(
            f"numbers {listed or 'none'}", f"numéros {listed or 'aucun'}"
        )
        if entry.epoch is epoch and entry.found is not None:
            what += say(f": {entry.found.seq} fits", f" : {entry.found.seq} correspond")
        elif entry.found is None:
            what += say(": none fits", " : aucun ne correspond")
        else:
            what += say(": not needed", " : inutile")
        yield who + what


def _fragments(entry: Entry, epoch: Epoch) -> str:
    for of, verified in entry.whole or ():
        if of is epoch:
            return say(
                f"joined, checkpoint {verified.seq} fits", f"réuni, le point {verified.seq} correspond"
            )
    if entry.refusals:
        refused = ", ".join(sorted(entry.refusals))
        return say(f"joined, refused: {refused}", f"réuni, refusé : {refused}")
    return say("not all fragments are there", "des fragments manquent")


def _why(row: Row, entry: Entry) -> list[str]:
    from firmware.protocols.reasons_text import TEXTS

    found = TEXTS.get(row.reason)
    if found:
        return [say(found[0], found[1]), say(found[2], found[3])]
    verified = entry.found or (entry.whole[0][1] if entry.whole else None)
    if row.state == "signed" and verified is not None:
        if verified.signature:
            return [say("the device's own signature is on it", "il porte la signature de l'équipement")]
        return [say("a signed checkpoint vouches for it", "un point de contrôle signé s'en porte garant")]
    if row.state == "authenticated":
        return [
            say(
                "its tag fits; whoever holds the same key could have made it, until a checkpoint covers it",
                "son sceau est juste ; qui tient la même clé a pu le faire, tant qu'aucun point ne le couvre",
            )
        ]
    return []


def _chain(receiver: Receiver, entry: Entry, row: Row) -> Iterator[Fact]:
    epoch, verified = entry.epoch, entry.found
    if entry.whole:
        epoch, verified = entry.whole[0]
    if epoch is None or verified is None:
        return
    if verified.content.type == "checkpoint":
        yield from _checkpoint(epoch, verified.seq)
    elif not verified.signature:
        yield _coverage(epoch, verified)
    if verified.leaf:
        yield Fact("leaf", verified.leaf.hex())
    others = len(epoch.variants.get(verified.seq, ())) - 1
    if others > 0:
        text = say(
            f"number {verified.seq} also has {counted(others, 'other content')}",
            f"autres contenus du numéro {verified.seq} : {others}",
        )
        yield Fact("conflict", text, others)


def _checkpoint(epoch: Epoch, seq: int) -> Iterator[Fact]:
    for segment in epoch.chain.segments_of(seq):
        members = sorted(number for number, _ in segment.members)
        text = say(
            f"{segment.status}: counts {segment.count} frames since the head of {segment.common}",
            f"{segment.status} : {segment.count} trames depuis la tête de {segment.common}",
        )
        if members:
            text += say(f"; vouches for {_spans(members)}", f" ; garant de {_spans(members)}")
        if segment.lost:
            text += say(f"; checkpoint {segment.lost} was lost", f" ; point {segment.lost} perdu")
        yield Fact("segment", text)


def _coverage(epoch: Epoch, verified: Verified) -> Fact:
    member = (verified.seq, verified.leaf)
    for segment in epoch.chain.segments():
        if member in segment.members:
            text = say(
                f"checkpoint {segment.seq}, signed, which covers {segment.count} frames",
                f"point de contrôle {segment.seq}, signé, qui couvre {segment.count} trames",
            )
            return Fact("covered_by", text, segment.seq)
    later = [w for w in epoch.wants() if w.seq > verified.seq and w.seqs]
    if later:
        missing = _spans(sorted(later[0].seqs))
        text = say(
            f"none yet: checkpoint {later[0].seq} waits for {missing}",
            f"aucun encore : le point {later[0].seq} attend {missing}",
        )
        return Fact("covered_by", text)
    return Fact("covered_by", say("no checkpoint that was received", "aucun point de contrôle reçu"))


def _spans(numbers: Sequence[int]) -> str:
    """1, 2, 3, 7 as "1-3, 7"."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)
