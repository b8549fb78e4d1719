"""A broker's traffic: ChirpStack v4 (gateways and applications, JSON and protobuf) and The Things Stack v3.

Each message is acknowledged (QoS 1) when it is on the disk, under a client id that stays the same, in a session
that the broker keeps for a day: what comes while this program is away or its disk is full waits there. A broker
keeps a limited number: mosquitto 2.0 drops what is beyond `max_queued_messages`, 1000 unless configured, and tells
nobody.

The message itself tells what it is; topics only choose: without any, those that the two servers use under their
defaults; else everything below the named one, or exactly what it says where it holds + or #.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import Any

from host_tools.errors import PeerError
from host_tools.formats import chirpstack, jsonlines
from host_tools.formats.jsontext import BadRecord
from host_tools.formats.protobuf import delimited
from host_tools.frames import Record
from host_tools.rotation import MAX_MESSAGE
from host_tools.sources import Address, Message, Sink, Source, need

TOPICS = (
    # ChirpStack: gateways with and without a region's prefix, what is sent by them (join accepts), applications.
    "gateway/+/event/+",
    "+/gateway/+/event/+",
    "gateway/+/command/down",
    "+/gateway/+/command/down",
    "application/+/device/+/event/+",
    # The Things Stack.
    "v3/+/devices/+/up",
    "v3/+/devices/+/join",
)
SESSION_S = 86400
KEEPALIVE_S = 30
# Messages that are acknowledged at once, after one wait for the disk.
TURN = 100
RETRY_S = (0.2, 5.0)  # the first pause before another try, and the longest
_UNSUPPORTED = 132  # "unsupported protocol version": The Things Stack's broker speaks 3.1.1 only


def topics(path: str) -> tuple[str, ...]:
    """What to subscribe to for the topics that an address names."""
    path = path.rstrip("/")
    if not path:
        return TOPICS
    return (path,) if "+" in path or "#" in path else (path + "/#",)


def message_of(payload: bytes) -> Message | None:
    """A publication as a message; None for one without content, as retained ones are taken back."""
    if not payload:
        return None
    if len(payload) > MAX_MESSAGE:
        return Message(Record(payload[:4096], reason="too_long"), "")
    if payload.lstrip()[:1] in (b"{", b"["):
        found = jsonlines.message(payload)
        return Message(Record(payload + b"\n", found.frames, found.others, found.reason), jsonlines.NAME)
    # A file of protobuf has the length ahead of each message.
    raw = delimited(payload)
    try:
        frames, others = chirpstack.frames_protobuf(payload)
    except BadRecord as e:
        return Message(Record(raw, reason=e.reason), chirpstack.NAME)
    return Message(Record(raw, frames, others), chirpstack.NAME)


class MqttSource(Source):
    def __init__(self, where: Address, sink: Sink, tell: Callable[[str], None], client: str) -> None:
        super().__init__(sink, tell)
        self._mqtt = need("paho.mqtt.client")
        self._properties = need("paho.mqtt.properties").Properties
        self._connect_type = need("paho.mqtt.packettypes").PacketTypes.CONNECT
        self._address = where
        self._tls = where.kind == "mqtts"
        self._port = where.port if where.port > 0 else 8883 if self._tls else 1883
        self._id = "lanterne-" + hashlib.sha256(client.encode()).hexdigest()[:14]
        self._topics = topics(where.path)
        self.where = f"{where.kind} {where.host}:{self._port} {' '.join(self._topics)}"
        self._five = True
        self._client: Any = None
        self._waiting: list[Any] = []
        self._refused = self._resumed = self._met = False
        self._state = ""
        self._client = self._made()
        self._connect()  # an address that nobody answers at is told at once

    def _made(self) -> Any:
        mqtt = self._mqtt
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=self._id,
            clean_session=None if self._five else False,
            protocol=mqtt.MQTTv5 if self._five else mqtt.MQTTv311,
            manual_ack=True,
        )
        if self._address.user:
            client.username_pw_set(self._address.user, os.environ.get("LANTERNE_MQTT_PASSWORD"))
        if self._tls:
            client.tls_set()
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    def _connect(self) -> None:
        more: dict[str, Any] = {}
        if self._five:
            properties = self._properties(self._connect_type)
            properties.SessionExpiryInterval = SESSION_S
            properties.MaximumPacketSize = 2 * MAX_MESSAGE
            more = {"clean_start": False, "properties": properties}
        try:
            self._client.connect(self._address.host, self._port, KEEPALIVE_S, **more)
        except (OSError, ValueError) as e:
            words = getattr(e, "strerror", None) or str(e)
            raise PeerError(f"no broker at {self._address.host}:{self._port}: {words}") from None

    def _on_connect(self, client: Any, _: object, flags: Any, reason: Any, __: object) -> None:
        if reason.value == _UNSUPPORTED and self._five:
            self._five = False
            self._state = "speaks MQTT 3.1.1"
            return
        if reason.is_failure:
            self._say(f"the broker refuses: {reason}")
            return
        self._resumed = flags.session_present
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(self, _: Any, __: object, ___: int, reasons: list[Any], ____: object) -> None:
        # Only now does the broker keep what comes.
        lost = ", but has lost our session, and with it what came meanwhile" if self._met else ""
        self._say("the broker is here" + (", with our session" if self._resumed else lost))
        self._met = True
        refused = [topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure]
        if refused:
            self._say("the broker refuses to tell " + ", ".join(refused))

    def _say(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._tell(state)

    def _on_message(self, _: Any, __: object, publication: Any) -> None:
        found = None
        with self.unharmed():
            found = message_of(bytes(publication.payload))
        if self._refused or (found is not None and not self._keep(found)):
            # Not acknowledged, and so are those behind it, for their order: the broker gives all of them again.
            self._refused = True
            return
        self._waiting.append(publication)

    def _run(self) -> None:
        pause = RETRY_S[0]
        while not self._stop.is_set():
            before = len(self._waiting)
            found = self._client.loop(0.0 if self._waiting else 0.1)
            if self._waiting and (
                len(self._waiting) == before or len(self._waiting) >= TURN or self._refused
            ):
                self._acknowledge()
                pause = RETRY_S[0]
            if found == self._mqtt.MQTT_ERR_SUCCESS and not self._refused:
                continue
            if not self._refused and not self._state.startswith(("the broker refuses", "speaks")):
                self._say("the broker is gone")
            self._leave(gently=False)
            while not self._stop.wait(pause):
                pause = min(pause * 2, RETRY_S[1])
                self._client = self._made()
                try:
                    self._connect()
                    break
                except PeerError:
                    continue
        if self._waiting:
            self._acknowledge()
        self._leave(gently=True)

    def _acknowledge(self) -> None:
        """Have what was taken survive, then tell the broker."""
        done, self._waiting = self._waiting, []
        if not self._sync():
            self._refused = True
            return
        for publication in done:
            self._client.ack(publication.mid, publication.qos)

    def _leave(self, gently: bool) -> None:
        """End the connection; the broker keeps the session. Gently: with all that is still to be sent."""
        self._waiting, self._refused = [], False
        if gently:
            end = time.monotonic() + 1
            while self._client.want_write() and time.monotonic() < end:
                self._client.loop(0.05)
        self._client.disconnect()
        self._client.loop(0.05)


def open_source(where: Address, sink: Sink, tell: Callable[[str], None], client: str) -> Source:
    return MqttSource(where, sink, tell, client)
