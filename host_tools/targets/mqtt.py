"""MQTT as target: events of ChirpStack v4 gateways, one message for each frame, QoS 1.

Topics PREFIX/gateway/EUI/event/up, .../event/ack and .../command/down (chirpstack-mqtt-forwarder, src/mqtt.rs);
messages of gw.proto, in protobuf or JSON. The broker's PUBACK says that the broker has a message, not that anybody
stored it.
"""

from __future__ import annotations

import os
import queue
import re
import ssl
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from host_tools.errors import InputError, PeerError
from host_tools.faults.line import ERRORS
from host_tools.formats import chirpstack, fields
from host_tools.formats import chirpstack_tables as tables
from host_tools.formats.jsontext import BadRecord, dumps, loads
from host_tools.formats.protobuf import Field, Table, decode, encode
from host_tools.frames import Frame
from host_tools.sources import need
from host_tools.targets.base import Downlinks, Ledger, heard

if TYPE_CHECKING:
    from host_tools.targets import Options

WINDOW = 128
_WAIT_S = 10.0
# gw.proto, DownlinkTxAck and TxAckStatus; the errors of GWMP are 2 to 8.
_STATUS = {1: "OK", **dict(enumerate(ERRORS, 2))}
_ACK_ITEM: Table = {1: Field("status", "enum", names=_STATUS)}
_TX_ACK: Table = {
    2: Field("downlinkId", "uint"),
    5: Field("items", "message", _ACK_ITEM, many=True),
    6: Field("gatewayId", "string"),
}


def tx_ack(gateway: str, downlink: int, items: int, error: str, as_json: bool) -> bytes:
    """A DownlinkTxAck whose first item was sent, or none of whose `items` was."""
    word = error or "OK"
    names = [word] + ["IGNORED" if not error else word] * (items - 1)
    if as_json:
        rows = [{"status": name} for name in names]
        return dumps({"gatewayId": gateway, "downlinkId": downlink, "items": rows}).encode()
    numbers = {name: number for number, name in _STATUS.items()}
    rows_out = [{"status": numbers.get(name, 0)} for name in names]
    return encode({"downlinkId": downlink, "items": rows_out, "gatewayId": gateway}, _TX_ACK)


class MqttTarget:
    """mqtt://[USER@]HOST:PORT/PREFIX."""

    live = True

    def __init__(
        self, host: str, port: int, prefix: str, encoding: str, user: str, tls: bool, options: Options
    ) -> None:
        self._where = (host, port)
        self._prefix, self._json, self._user, self._tls = prefix, encoding == "json", user, tls
        self._options = options
        self.ledger = Ledger()
        self._downlinks = Downlinks()
        self._seen: Counter[str] = Counter()
        self._client: Any = None
        self._connected = threading.Event()
        self._refused = ""
        self._closing = False
        self._numbers: dict[int, int] = {}
        self._early: set[int] = set()
        # Answers to downlinks that are not sent yet.
        self._under_way = 0
        self._lock = threading.Lock()
        self._gateways: set[str] = {options.gateway.hex()}
        self._answers: queue.SimpleQueue[tuple[float, str, bytes] | None] = queue.SimpleQueue()

    @property
    def _name(self) -> str:
        return f"{self._where[0]}:{self._where[1]}"

    def open(self) -> None:
        paho = need("paho.mqtt.client")
        client = self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_message = self._on_publish, self._on_message
        client.reconnect_delay_set(1, 4)
        client.max_inflight_messages_set(WINDOW)
        # The variable is that of `lanterne capture mqtt:`.
        secret = self._options.secret or os.environ.get("LANTERNE_MQTT_PASSWORD", "")
        if self._user:
            client.username_pw_set(self._user, secret or None)
        if self._tls:
            try:
                client.tls_set_context(ssl.create_default_context(cafile=self._options.ca or None))
            except (OSError, ssl.SSLError):
                raise InputError(f"{self._options.ca} is no file of certificates") from None
        try:
            client.connect(*self._where, keepalive=30)
        except (OSError, ValueError) as e:
            raise PeerError(f"cannot reach {self._name}: {getattr(e, 'strerror', None) or e}") from None
        client.loop_start()
        end = time.monotonic() + _WAIT_S
        while not self._connected.wait(0.05):
            if self._refused or time.monotonic() > end:
                why = self._refused or "no answer"
                raise PeerError(
                    f"the broker {self._name} refuses: {why}",
                    "mqtt://USER@HOST, password by LANTERNE_MQTT_PASSWORD, --secret-file or --secret-env",
                )
        threading.Thread(target=self._answer_all, name="mqtt-acks", daemon=True).start()

    # Called by the client's own thread

    def _on_connect(self, client: Any, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refused = str(reason)
            return
        client.subscribe(f"{self._prefix}/gateway/+/command/down", qos=1)
        if self._seen["connections"]:
            self._options.tell(f"connected to {self._name} again")
        self._seen["connections"] += 1
        self._connected.set()

    def _on_disconnect(self, client: Any, _: Any, flags: Any, reason: Any, properties: Any) -> None:
        if self._connected.is_set() and not self._closing:
            self._options.tell(f"{self._name} is gone ({reason}); trying to connect again")
        self._connected.clear()

    def _on_publish(self, client: Any, _: Any, mid: int, reason: Any, properties: Any) -> None:
        with self._lock:
            number = self._numbers.pop(mid, None)
            if number is None:
                # It may come before `publish` has returned.
                self._early.add(mid)
                return
        self._acked(number)

    def _on_message(self, client: Any, _: Any, message: Any) -> None:
        part = re.fullmatch(r".*/gateway/([0-9a-fA-F]{16})/command/down", message.topic)
        if part is None or part[1].lower() not in self._gateways:
            return
        try:
            self._downlink(part[1], bytes(message.payload))
        except BadRecord:
            self._seen["unreadable"] += 1

    def _downlink(self, gateway: str, payload: bytes) -> None:
        as_json = payload.lstrip()[:1] == b"{"
        value = loads(payload) if as_json else decode(payload, tables.DOWNLINK_FRAME)
        if not isinstance(value, dict) or not isinstance(value.get("items"), list) or not value["items"]:
            raise BadRecord
        # JSON of protobuf leaves out a zero.
        downlink = fields.integer(value.get("downlinkId", 0), 0, 0xFFFFFFFF)
        if downlink is None:
            raise BadRecord
        found = self._options.answers.next()
        self._downlinks.add(
            self._options.answers.count, found.error or "OK", found.late_ms, gateway=gateway.lower()
        )
        made = tx_ack(gateway.lower(), downlink, len(value["items"]), found.error, as_json)
        topic = f"{self._prefix}/gateway/{gateway}/event/ack"
        with self._lock:
            self._under_way += 1
        self._answers.put((time.monotonic() + found.late_ms / 1000, topic, made))

    def _answer_all(self) -> None:
        waiting: list[tuple[float, str, bytes]] = []
        while True:
            first = min(waiting, default=None)
            rest = None if first is None else max(0.0, first[0] - time.monotonic())
            try:
                entry = self._answers.get(timeout=rest)
                if entry is None:
                    return
                waiting.append(entry)
            except queue.Empty:
                assert first is not None
                waiting.remove(first)
                self._publish(0, first[1], first[2])
                with self._lock:
                    self._under_way -= 1

    def _publish(self, number: int, topic: str, payload: bytes) -> None:
        """number: of the frame, 0 for what is none. No lock of ours is held while paho holds its own."""
        sent = self._client.publish(topic, payload, qos=1)
        with self._lock:
            if sent.mid not in self._early:
                self._numbers[sent.mid] = number
                return
            self._early.discard(sent.mid)
        self._acked(number)

    def _acked(self, number: int) -> None:
        if number:
            self.ledger.acked(number)

    # Called by the replay

    def send(self, number: int, frame: Frame) -> None:
        ready = heard(frame)
        gateway = frame.gateway or self._options.gateway
        self._gateways.add(gateway.hex())
        ready = replace(ready, gateway=gateway)
        if not self.ledger.wait_told(
            self._room,
            self._options.patience_s,
            lambda: self._options.tell(f"waiting for {self._name}"),
        ):
            if not self._connected.is_set():
                raise PeerError(f"{self._name} is gone and did not come back")
            raise PeerError(f"{self._name} takes messages and acknowledges none of them")
        made = chirpstack.pack(ready).strip() if self._json else chirpstack.pack_protobuf(ready)
        topic = f"{self._prefix}/gateway/{gateway.hex()}/event/up"
        self.ledger.sent(number)
        self._publish(number, topic, made)

    def _room(self) -> bool:
        return self._connected.is_set() and self.ledger.waiting < WINDOW

    def settle(self, seconds: float) -> None:
        self.ledger.wait(lambda: not self.ledger.waiting and not self._under_way, seconds)

    def close(self) -> None:
        if self._client is None or self._closing:
            return
        self._closing = True
        self._answers.put(None)
        self._client.disconnect()
        self._client.loop_stop()

    def told(self) -> dict[str, Any]:
        seen = {name: count for name, count in sorted(self._seen.items()) if count}
        return {"gateways": len(self._gateways), **seen, **self._downlinks.told()}
