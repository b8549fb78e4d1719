"""Files in a board's flash: what is written is read back, by us and by the board."""

import time

import pytest

from hw.virtual.files import read_file, write_files
from hw.virtual.flash import Flash
from hw.virtual.testing import add_script
from hw.virtual.world import World


def test_what_is_written_is_read_back() -> None:
    flash = Flash()
    write_files(flash, {"lamp": b"4 0\n", "deep/er/file": bytes(range(256)) * 40})
    assert read_file(flash, "lamp") == b"4 0\n"
    assert read_file(flash, "/deep/er/file") == bytes(range(256)) * 40
    write_files(flash, {"lamp": b"5 1\n"})
    assert read_file(flash, "lamp") == b"5 1\n"
    assert read_file(flash, "deep/er/file")[:3] == b"\0\1\2"


def test_no_clock_of_this_machine_is_in_the_image() -> None:
    images = []
    for _ in range(2):
        flash = Flash()
        write_files(flash, {"lamp": b"4 0\n"})
        images.append(bytes(flash.mem))
        time.sleep(0.01)
    assert images[0] == images[1]


def test_what_is_not_there_is_named() -> None:
    flash = Flash()
    with pytest.raises(FileNotFoundError):
        read_file(flash, "lamp")
    write_files(flash, {"a": b""})
    with pytest.raises(FileNotFoundError):
        read_file(flash, "lamp")
    with pytest.raises(FileNotFoundError):
        read_file(flash, "a", "nosuch")


def test_a_board_reads_and_writes_the_same_files() -> None:
    with World(1) as world:
        text = """
            print(open("given").read())
            with open("made", "w") as f:
                f.write("by the board")
        """
        board = add_script(world, "board", text)
        write_files(board.flash, {"given": b"by the host"})
        world.run(5)
        assert board.failures == []
        assert board.console == ["by the host"]
        assert read_file(board.flash, "made") == b"by the board"
