"""The table of module sizes bites when a module grows, appears or goes."""

from __future__ import annotations

import pytest

from tools.sizes import Size, as_csv, complaints, every_module, measure, read_csv

OLD = {"firmware.a": Size(1000, 2000), "firmware.b": Size(50, 300)}


def test_equal_or_smaller_is_fine() -> None:
    assert complaints(OLD, OLD) == []
    assert complaints(OLD, {**OLD, "firmware.a": Size(10, 20)}) == []


@pytest.mark.parametrize(
    ("size", "bites"),
    [
        (Size(1099, 2000), False),
        (Size(1100, 2000), True),
        (Size(1000, 2199), False),
        (Size(1000, 2300), True),
    ],
)
def test_ten_per_cent_is_too_much(size: Size, bites: bool) -> None:
    assert bool(complaints(OLD, {**OLD, "firmware.a": size})) is bites


def test_heap_below_the_noise_of_the_allocator_is_no_growth() -> None:
    assert complaints(OLD, {**OLD, "firmware.b": Size(50, 556)}) == []
    assert complaints(OLD, {**OLD, "firmware.b": Size(50, 557)})


def test_a_module_that_came_or_went_is_named() -> None:
    assert "firmware.c" in complaints(OLD, {**OLD, "firmware.c": Size(1, 1)})[0]
    assert "firmware.b" in complaints(OLD, {"firmware.a": OLD["firmware.a"]})[0]


def test_the_table_survives_its_file() -> None:
    assert read_csv(as_csv(OLD)) == OLD


def test_every_module_follows_what_it_imports() -> None:
    order = every_module()
    assert len(order) == len(set(order))
    for early, late in (
        ("firmware.protocols.compat", "firmware.protocols.cbor"),
        ("firmware.protocols.cbor", "firmware.protocols.codec"),
        ("firmware.protocols", "firmware.protocols.compat"),
    ):
        assert order.index(early) < order.index(late)


@pytest.mark.slow
def test_the_figures_are_those_of_the_interpreter() -> None:
    """Twice the same, every module with a size, each bundle the sum of what it holds."""
    table = measure()
    assert table == measure()
    assert all(size.mpy_bytes > 0 and size.heap_bytes > 0 for size in table.values())
    lamp = table["bundle node/lamp"]
    assert lamp.mpy_bytes > table["firmware.protocols.ed25519"].mpy_bytes
