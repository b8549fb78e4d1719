"""Readings in SQLite: every frame verbatim, each verified content once, states worked out when asked for.

    raw        frames as received, refused ones included         reception   who heard them, when and how well
    verified   the exact set of accepted contents (TRUST 2)      value       the fields of readings, exact
    fact       what signatures have shown: members of segments, refuted frames, numbers after a conflict
    reading_state   a view for people with `sqlite3`: the state of each content as of now

A frame and its reading go in with one transaction, so a killed program leaves both or neither.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from host_tools.errors import StoreError, unwritable
from host_tools.formats.gwrecord import Heard
from host_tools.formats.loratap import Radio
from host_tools.frames import Frame
from host_tools.receiver import Outcome, Receiver
from host_tools.rows import Row, exact, in_words
from host_tools.segments import Segment
from host_tools.verdict import Verified
from host_tools.view import Epoch
from provisioning.keyring import Keyring

APPLICATION_ID = 0x4C414E54  # "LANT" in the header of the file
VERSION = 1

_SCHEMA = """
CREATE TABLE raw (
    id INTEGER PRIMARY KEY, sha BLOB NOT NULL UNIQUE, data BLOB NOT NULL, reason TEXT NOT NULL);
CREATE TABLE reception (
    id INTEGER PRIMARY KEY, raw_id INTEGER NOT NULL REFERENCES raw, time_us INTEGER NOT NULL,
    gateway BLOB, boot INTEGER, number INTEGER, quality INTEGER, freq_hz INTEGER, sf INTEGER, bw_hz INTEGER,
    rssi_qdbm INTEGER, snr_qdb INTEGER, sync_word INTEGER, ingest_us INTEGER,
    verdict TEXT NOT NULL, verdict_reason TEXT NOT NULL, UNIQUE (gateway, boot, number, raw_id));
CREATE TABLE verified (
    id INTEGER PRIMARY KEY, tenant BLOB NOT NULL, device BLOB NOT NULL, epoch INTEGER NOT NULL,
    dir INTEGER NOT NULL, seq INTEGER NOT NULL, digest BLOB NOT NULL, purpose INTEGER NOT NULL,
    structure INTEGER NOT NULL, payload BLOB NOT NULL, leaf BLOB NOT NULL, type TEXT NOT NULL,
    refusal TEXT NOT NULL, raw_id INTEGER NOT NULL REFERENCES raw, late INTEGER NOT NULL,
    quarantine INTEGER NOT NULL, UNIQUE (tenant, device, epoch, dir, seq, digest));
CREATE TABLE value (
    verified_id INTEGER NOT NULL REFERENCES verified, name TEXT NOT NULL, scaled INTEGER, decimals INTEGER,
    text TEXT NOT NULL, PRIMARY KEY (verified_id, name)) WITHOUT ROWID;
CREATE TABLE member (verified_id INTEGER PRIMARY KEY REFERENCES verified);
CREATE TABLE refuted (verified_id INTEGER PRIMARY KEY REFERENCES verified);
CREATE TABLE conflict (
    tenant BLOB NOT NULL, device BLOB NOT NULL, epoch INTEGER NOT NULL, after_seq INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, epoch));
CREATE TABLE key_status (
    tenant BLOB NOT NULL, device BLOB NOT NULL, epoch INTEGER NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, status TEXT NOT NULL, disclosed INTEGER NOT NULL, gen INTEGER NOT NULL,
    protection INTEGER NOT NULL, PRIMARY KEY (tenant, device, epoch));
CREATE VIEW evidence AS SELECT v.*, v.structure = 18 OR m.verified_id IS NOT NULL AS is_signed,
    r.verified_id IS NOT NULL AS is_refuted
    FROM verified v LEFT JOIN member m ON m.verified_id = v.id LEFT JOIN refuted r ON r.verified_id = v.id;
CREATE VIEW reading_state AS
SELECT hex(e.device) AS device, k.name, k.kind, e.epoch, e.seq, e.purpose, e.type,
    CASE
        WHEN e.refusal != '' THEN 'rejected'
        WHEN NOT e.is_signed AND (e.is_refuted OR others.signed) THEN 'rejected'
        WHEN NOT e.is_signed AND others.total THEN 'contested'
        WHEN e.seq > c.after_seq THEN 'contested'
        WHEN k.status = 'revoked' OR (k.disclosed AND NOT e.is_signed) THEN 'contested'
        WHEN e.is_signed THEN 'signed'
        ELSE 'authenticated'
    END AS state, e.late, e.quarantine, e.id AS verified_id
FROM evidence e
LEFT JOIN key_status k ON k.tenant = e.tenant AND k.device = e.device AND k.epoch = e.epoch
LEFT JOIN conflict c ON c.tenant = e.tenant AND c.device = e.device AND c.epoch = e.epoch
LEFT JOIN (SELECT a.id, count(*) AS total, max(b.is_signed) AS signed FROM verified a
    JOIN evidence b ON b.tenant = a.tenant AND b.device = a.device AND b.epoch = a.epoch AND b.dir = a.dir
    AND b.seq = a.seq AND b.id != a.id GROUP BY a.id) others ON others.id = e.id;
"""

# Epoch, content, and SHA-256 of a frame that brought it.
Accepted = tuple[Epoch, Verified, bytes]


@dataclass(frozen=True)
class Notes:
    """What live intake saw of a frame: the store's clock, lateness, and a number far above the last one."""

    ingest_us: int
    late: bool = False
    quarantine: bool = False


class Store:
    """A store file. StoreError, in one line, for a place that refuses or a file that is no store."""

    def __init__(self, path: Path | str, readonly: bool = False) -> None:
        self.path = Path(path)
        # What was entered of each epoch's segments by checkpoint, and how far its chain's changes were read.
        self._settled: dict[tuple[bytes, bytes, int], dict[int, set[tuple[bytes, str]]]] = {}
        self._read: dict[tuple[bytes, bytes, int], int] = {}
        if self.path.is_dir():
            raise StoreError(f"{self.path} is a folder, not a store")
        if not self.path.is_file() and (readonly or self.path.exists()):
            raise StoreError(f"{self.path} is no store")
        try:
            mode = "ro" if readonly else "rwc"
            quoted = self.path.absolute().as_uri()
            self._base = sqlite3.connect(
                f"{quoted}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
            )
            self._open(readonly)
        except sqlite3.Error as e:
            raise self._refusal(e) from None

    def _open(self, readonly: bool) -> None:
        [(application,)] = self._base.execute("PRAGMA application_id")
        [(version,)] = self._base.execute("PRAGMA user_version")
        [(tables,)] = self._base.execute("SELECT count(*) FROM sqlite_master")
        if tables and application != APPLICATION_ID:
            raise StoreError(f"{self.path} is a database of something else")
        if version > VERSION:
            raise StoreError(f"{self.path} was made by a newer version", "update lanterne")
        if readonly:
            return
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = FULL")  # a committed reading survives a power cut, too
        if not tables:
            self._base.executescript(
                f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
                f"{_SCHEMA} COMMIT;"
            )

    def _refusal(self, error: sqlite3.Error) -> StoreError:
        text = str(error)
        if "full" in text:
            return StoreError(f"cannot write {self.path}: the disk is full")
        if "not a database" in text:
            return StoreError(f"{self.path} is not a database")
        if "locked" in text:
            return StoreError(f"{self.path} is in use by another program")
        if "readonly" in text:
            return StoreError(f"cannot write {self.path}: it is read-only")
        if "unable to open" in text:
            try:
                self.path.open("ab").close()
            except OSError as e:
                return unwritable(self.path, e)
        return StoreError(f"cannot use {self.path}: {text}")

    # Writing

    def know(self, keyrings: Iterable[Keyring]) -> None:
        """Enter what keyrings say of names and keys; the view takes the state of a key from here."""
        rows = [
            (
                r.tenant,
                r.device,
                r.epoch,
                r.name,
                r.kind,
                r.status,
                bool(r.disclosed_from),
                r.gen,
                r.protection,
            )
            for ring in keyrings
            for r in ring.records
        ]
        try:
            with self._transaction():
                self._base.executemany("INSERT OR REPLACE INTO key_status VALUES (?,?,?,?,?,?,?,?,?)", rows)
        except sqlite3.Error as e:
            raise self._refusal(e) from None

    def _transaction(self) -> _Transaction:
        return _Transaction(self._base)

    def has(self, record: Heard) -> bool:
        """True when the record is in the store: its name (gateway, boot, number) with the same frame.

        A gateway whose memory was lost counts from the start again: the name alone proves nothing.
        """
        try:
            found = self._base.execute(
                "SELECT 1 FROM reception JOIN raw ON raw.id = raw_id"
                " WHERE gateway = ? AND boot = ? AND number = ? AND data = ?",
                (*record.key, record.data),
            )
            return found.fetchone() is not None
        except sqlite3.Error as e:
            raise self._refusal(e) from None

    def put(
        self,
        frame: Frame,
        outcome: Outcome,
        accepted: Sequence[Accepted],
        notes: Notes,
        record: Heard | None = None,
    ) -> list[Accepted]:
        """Store one reception with everything that follows from it, in one transaction.

        accepted: what a capped receiver verified with it, `Receiver.accepted`. Returns those of which the
        frame is not in the store, because it was refused before; they are to be given again with it.
        """
        try:
            with self._transaction():
                raw_id = self._raw(frame)
                self._reception(raw_id, frame, outcome, notes, record)
                return self._accepted(accepted, notes)
        except sqlite3.Error as e:
            # What was entered into memory for this transaction is not on the disk.
            self._read.clear()
            raise self._refusal(e) from None

    def accept(self, accepted: Sequence[Accepted], notes: Notes) -> list[Accepted]:
        """Store what was verified of frames that came before: the cap had held them back. Returns as `put`."""
        try:
            with self._transaction():
                return self._accepted(accepted, notes)
        except sqlite3.Error as e:
            self._read.clear()
            raise self._refusal(e) from None

    def _accepted(self, accepted: Sequence[Accepted], notes: Notes) -> list[Accepted]:
        left: list[Accepted] = []
        stored: list[tuple[Epoch, Verified]] = []
        for epoch, found, sha in accepted:
            row = self._base.execute("SELECT id FROM raw WHERE sha = ?", (sha,)).fetchone()
            if row is None:
                left.append((epoch, found, sha))
                continue
            self._verified(found, int(row[0]), notes)
            stored.append((epoch, found))
        for epoch in {e.key: e for e, _ in stored}.values():
            self._facts(epoch)
        for epoch, found in stored:
            # What came after its segment was settled.
            if (found.seq, found.leaf) in epoch.chain.members():
                self._fact("member", found)
            elif not found.signature and epoch.chain.refutes(found.seq):
                self._fact("refuted", found)
        return left

    def _raw(self, frame: Frame) -> int:
        sha = sha256((b"record" if frame.reason else b"") + frame.data).digest()
        self._base.execute(
            "INSERT OR IGNORE INTO raw (sha, data, reason) VALUES (?,?,?)", (sha, frame.data, frame.reason)
        )
        [(found,)] = self._base.execute("SELECT id FROM raw WHERE sha = ?", (sha,))
        return int(found)

    def _reception(
        self, raw_id: int, frame: Frame, outcome: Outcome, notes: Notes, record: Heard | None
    ) -> None:
        r = frame.radio
        who: tuple[Any, ...] = (None, None, None, None)
        if record is not None:
            who = (record.gateway, record.boot, record.number, record.quality)
        heard = (r.freq_hz, r.sf, r.bw_hz, r.rssi_qdbm, r.snr_qdb, r.sync_word)
        self._base.execute(
            "INSERT OR IGNORE INTO reception (raw_id, time_us, gateway, boot, number, quality, freq_hz, sf,"
            " bw_hz, rssi_qdbm, snr_qdb, sync_word, ingest_us, verdict, verdict_reason)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (raw_id, frame.time_us, *who, *heard, notes.ingest_us, outcome.state, outcome.reason),
        )

    def _verified(self, v: Verified, raw_id: int, notes: Notes) -> None:
        r = v.record
        key = (r.tenant, r.device, r.epoch, 0, v.seq, v.digest)
        content = (v.purpose, v.structure, v.payload, v.leaf, v.content.type, v.content.reason)
        done = self._base.execute(
            "INSERT OR IGNORE INTO verified (tenant, device, epoch, dir, seq, digest, purpose, structure,"
            " payload, leaf, type, refusal, raw_id, late, quarantine)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (*key, *content, raw_id, notes.late, notes.quarantine),
        )
        if done.rowcount and v.content.number:
            words, fields = in_words(v.content.number, v.content.fields)
            rows = [
                (done.lastrowid, name, *_exact(value, decimals))
                for name, (_, value, decimals) in zip(words, fields, strict=True)
            ]
            self._base.executemany("INSERT INTO value VALUES (?,?,?,?,?)", rows)

    def _facts(self, epoch: Epoch) -> None:
        """Enter what segments that became whole have shown."""
        since = self._read.get(epoch.key, 0)
        known = self._settled.setdefault(epoch.key, {}) if since else {}
        self._settled[epoch.key] = known
        self._read[epoch.key], changed = epoch.chain.changed(since)
        whole = {k: [s for s in epoch.chain.segments_of(k) if s.members] for k in sorted(changed)}
        if any(not known.get(k, set()) <= {(s.head, s.status) for s in found} for k, found in whole.items()):
            # A segment that seemed whole is open again: so many forged frames came that none is sure.
            self._forget(epoch)
            known.clear()
            whole = {s.seq: epoch.chain.segments_of(s.seq) for s in epoch.chain.segments() if s.members}
        for checkpoint, found in whole.items():
            there = known.setdefault(checkpoint, set())
            for s in found:
                if s.members and (s.head, s.status) not in there:
                    there.add((s.head, s.status))
                    self._segment(epoch, s)
        after = epoch.tainted()
        if after is not None:
            self._base.execute("INSERT OR REPLACE INTO conflict VALUES (?,?,?,?)", (*epoch.key, after))

    def _segment(self, epoch: Epoch, s: Segment) -> None:
        for seq in epoch.numbers_between(*s.span):
            for v in epoch.variants[seq].values():
                if (v.seq, v.leaf) in s.members:
                    self._fact("member", v)
                elif not v.signature:
                    self._fact("refuted", v)

    def _forget(self, epoch: Epoch) -> None:
        for table in ("member", "refuted"):
            self._base.execute(
                f"DELETE FROM {table} WHERE verified_id IN"
                " (SELECT id FROM verified WHERE tenant = ? AND device = ? AND epoch = ?)",
                epoch.key,
            )

    def _fact(self, table: str, v: Verified) -> None:
        r = v.record
        self._base.execute(
            f"INSERT OR IGNORE INTO {table} SELECT id FROM verified"
            " WHERE tenant = ? AND device = ? AND epoch = ? AND dir = 0 AND seq = ? AND digest = ?",
            (r.tenant, r.device, r.epoch, v.seq, v.digest),
        )

    # Reading

    def frames(self) -> Iterator[Frame]:
        """Every reception, in the order of its storing."""
        try:
            for data, reason, time_us, *radio in self._base.execute(
                "SELECT data, reason, time_us, freq_hz, sf, bw_hz, rssi_qdbm, snr_qdb, sync_word"
                " FROM reception JOIN raw ON raw.id = raw_id ORDER BY reception.id"
            ):
                yield Frame(data, time_us, Radio(*radio), reason)
        except sqlite3.Error as e:
            raise self._refusal(e) from None

    def highest(self) -> dict[tuple[bytes, bytes, int], int]:
        """The highest number of each (tenant, device, epoch), without those that live intake set apart."""
        try:
            found = self._base.execute(
                "SELECT tenant, device, epoch, max(seq) FROM verified WHERE NOT quarantine GROUP BY 1, 2, 3"
            )
            return {(tenant, device, epoch): seq for tenant, device, epoch, seq in found}
        except sqlite3.Error as e:
            raise self._refusal(e) from None

    def rows(self, keyrings: Iterable[Keyring]) -> list[Row]:
        """The rows of all frames, with keys and their status as the keyrings have them now."""
        receiver = Receiver(keyrings)
        receiver.add_all(self.frames())
        return receiver.rows()

    def counts(self) -> dict[str, int]:
        """Rows of each table, and of the view by state."""
        try:
            found = {
                name: self._base.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                for name in ("raw", "reception", "verified", "value")
            }
            found.update(self._base.execute("SELECT state, count(*) FROM reading_state GROUP BY state"))
        except sqlite3.Error as e:
            raise self._refusal(e) from None
        return found

    def states(self) -> list[tuple[str, int, int, str, str]]:
        """(device, epoch, seq, type, state) of every verified content, as the view has them."""
        found = self._base.execute(
            "SELECT lower(device), epoch, seq, type, state FROM reading_state ORDER BY 1, 2, 3, 4, 5"
        )
        return [tuple(row) for row in found]

    def close(self) -> None:
        self._base.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Transaction:
    """BEGIN IMMEDIATE to COMMIT, or ROLLBACK when anything fails."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._base.execute("COMMIT")
                return
            except sqlite3.Error:
                self._rollback()
                raise
        self._rollback()

    def _rollback(self) -> None:
        if self._base.in_transaction:
            self._base.execute("ROLLBACK")


def _exact(value: Any, decimals: int) -> tuple[int | None, int, str]:
    """A field as (scaled integer, decimals, text); lists and bytes have no integer."""
    if isinstance(value, bytes):
        return None, 0, value.hex()
    if isinstance(value, list):
        return None, decimals, " ".join(str(exact(v, decimals)) for v in value)
    return value, decimals, str(exact(value, decimals))
