"""ChirpStack v4's messages: names and field numbers.

chirpstack/chirpstack, api/proto/gw/gw.proto at commit 038e45e8f030 and api/proto/integration/integration.proto
at commit 70e4afae546a. "bytes" stands also for what is not looked into: places, tags, decoded objects.
"""

from __future__ import annotations

from host_tools.formats.protobuf import Field, Table

CODE_RATES = {1: "CR_4_5", 2: "CR_4_6", 3: "CR_4_7", 4: "CR_4_8"}
CRC = {0: "NO_CRC", 1: "BAD_CRC", 2: "CRC_OK"}

LORA: Table = {
    1: Field("bandwidth", "uint"),
    2: Field("spreadingFactor", "uint"),
    3: Field("codeRateLegacy", "string"),
    4: Field("polarizationInversion", "bool"),
    5: Field("codeRate", "enum", names=CODE_RATES),
    6: Field("preamble", "uint"),
    7: Field("noCrc", "bool"),
}
MODULATION: Table = {
    3: Field("lora", "message", LORA),
    4: Field("fsk", "bytes"),
    5: Field("lrFhss", "bytes"),
}
TX: Table = {1: Field("frequency", "uint"), 2: Field("modulation", "message", MODULATION)}
RX: Table = {
    1: Field("gatewayId", "string"),
    2: Field("uplinkId", "uint"),
    3: Field("gwTime", "time"),
    4: Field("timeSinceGpsEpoch", "time"),
    5: Field("fineTimeSinceGpsEpoch", "time"),
    6: Field("rssi", "int32"),
    7: Field("snr", "float"),
    8: Field("channel", "uint"),
    9: Field("rfChain", "uint"),
    10: Field("board", "uint"),
    11: Field("antenna", "uint"),
    12: Field("location", "bytes"),
    13: Field("context", "bytes"),
    15: Field("metadata", "bytes"),
    16: Field("crcStatus", "enum", names=CRC),
    17: Field("nsTime", "time"),
}
UPLINK_FRAME: Table = {
    1: Field("phyPayload", "bytes"),
    2: Field("txInfoLegacy", "bytes"),
    3: Field("rxInfoLegacy", "bytes"),
    4: Field("txInfo", "message", TX),
    5: Field("rxInfo", "message", RX),
}
UPLINK_FRAME_SET: Table = {
    1: Field("phyPayload", "bytes"),
    2: Field("txInfo", "message", TX),
    3: Field("rxInfo", "message", RX, many=True),
}
DOWNLINK_TX: Table = {
    1: Field("frequency", "uint"),
    2: Field("power", "int32"),
    3: Field("modulation", "message", MODULATION),
    4: Field("board", "uint"),
    5: Field("antenna", "uint"),
    6: Field("timing", "bytes"),
    7: Field("context", "bytes"),
}
DOWNLINK_ITEM: Table = {
    1: Field("phyPayload", "bytes"),
    2: Field("txInfoLegacy", "bytes"),
    3: Field("txInfo", "message", DOWNLINK_TX),
}
DOWNLINK_FRAME: Table = {
    3: Field("downlinkId", "uint"),
    4: Field("downlinkIdLegacy", "bytes"),
    5: Field("items", "message", DOWNLINK_ITEM, many=True),
    6: Field("gatewayIdLegacy", "bytes"),
    7: Field("gatewayId", "string"),
}
GATEWAY_EVENT: Table = {1: Field("uplinkFrame", "message", UPLINK_FRAME)}
DEVICE: Table = {
    1: Field("tenantId", "string"),
    2: Field("tenantName", "string"),
    3: Field("applicationId", "string"),
    4: Field("applicationName", "string"),
    5: Field("deviceProfileId", "string"),
    6: Field("deviceProfileName", "string"),
    7: Field("deviceName", "string"),
    8: Field("devEui", "string"),
    9: Field("tags", "bytes"),
    10: Field("deviceClassEnabled", "enum"),
}
UPLINK_EVENT: Table = {
    1: Field("deduplicationId", "string"),
    2: Field("time", "time"),
    3: Field("deviceInfo", "message", DEVICE),
    4: Field("devAddr", "string"),
    5: Field("adr", "bool"),
    6: Field("dr", "uint"),
    7: Field("fCnt", "uint"),
    8: Field("fPort", "uint"),
    9: Field("confirmed", "bool"),
    10: Field("data", "bytes"),
    11: Field("object", "bytes"),
    12: Field("rxInfo", "message", RX, many=True),
    13: Field("txInfo", "message", TX),
    14: Field("relayRxInfo", "bytes"),
    15: Field("joinServerContext", "bytes"),
    16: Field("regionConfigId", "string"),
}
