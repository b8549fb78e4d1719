"""Contacts 1 to 3 to ground; plays the role `contacts`: a list in that order, closed is active.

None stands for one that the board lacks or another part has, so this part is opened last. Polled: `update`.
"""

from machine import Pin

from firmware.drivers.contact import Contact
from firmware.drivers.errors import ConfigError


def part(board, who="contacts", n=3):
    found = []
    refused = None
    for pin in board.pins.CONTACTS[:n]:
        contact = None
        try:
            contact = Contact(Pin(board.use.take(who, pin), Pin.IN, Pin.PULL_UP))
        except ConfigError as e:
            refused = refused or e
        found.append(contact)
    if refused and not any(found):
        raise refused
    return found
