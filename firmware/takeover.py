"""What a board does once, when provisioning has made another device of it."""

import os


def drop_rings(path, owner):
    """Remove the frames of the devices that this board was before: the partition has no room for two rings.
    What cannot be removed stays."""
    try:
        for name in os.listdir(path):
            if name[:4] == "ring" and name[4:] != owner:
                name = path + "/" + name
                for file in os.listdir(name):
                    os.remove(name + "/" + file)
                os.rmdir(name)
    except OSError as e:
        print("old ring:", repr(e))
