"""Contacts 1 to 5, as `contacts` has three: 4 and 5 are pins that other kinds use; plays the role `contacts`."""

from firmware.parts.contacts import part as contacts


def part(board):
    return contacts(board, "contacts5", 5)
