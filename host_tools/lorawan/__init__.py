"""LoRaWAN 1.0.x as heard on the air: frames taken apart, sessions found, MICs checked, payloads in clear."""
