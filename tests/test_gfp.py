"""gfp masks in words: the boundaries of every era that prints hexadecimal numbers only.

The numbers of a row were met in logs of that age, or follow from include/linux/gfp.h of the
two releases at a boundary.
"""

import pytest

from oomlab.kernel.gfp import BITS, flag_names, highest_zone, may_use_cma

MASKS = [
    ("2.6.11", 0xD0, "GFP_KERNEL"),
    ("2.6.11", 0x1D2, "GFP_KERNEL __GFP_HIGHMEM __GFP_COLD"),
    ("2.6.11", 0x10D0, "GFP_KERNEL __GFP_NORETRY"),
    ("2.6.11", 0x10, "GFP_NOIO"),
    ("2.6.11", 0x50, "GFP_NOFS"),
    ("2.6.11", 0x20, "__GFP_HIGH"),
    ("2.6.11", 0x100D0, "GFP_KERNEL 0x10000"),
    ("2.6.12", 0x100D0, "GFP_KERNEL __GFP_NOMEMALLOC"),
    ("2.6.12", 0x200D0, "GFP_KERNEL 0x20000"),
    ("2.6.13", 0x200D0, "GFP_KERNEL __GFP_NORECLAIM"),
    ("2.6.13", 0x400D2, "GFP_KERNEL __GFP_HIGHMEM 0x40000"),
    ("2.6.14", 0x400D2, "GFP_HIGHUSER"),
    ("2.6.15", 0x400D0, "GFP_USER"),
    ("2.6.14", 0xD4, "GFP_KERNEL 0x4"),
    ("2.6.15", 0xD4, "GFP_KERNEL __GFP_DMA32"),
    ("2.6.16", 0x201D2, "GFP_HIGHUSER __GFP_COLD"),
    ("2.6.16", 0x280D2, "GFP_HIGHUSER __GFP_ZERO"),
    ("2.6.18", 0x400D0, "GFP_KERNEL 0x40000"),
    ("2.6.19", 0x400D0, "GFP_KERNEL __GFP_THISNODE"),
    ("2.6.22", 0xA00D2, "GFP_HIGHUSER 0x80000"),
    ("2.6.23", 0xA00D2, "GFP_HIGHUSER_MOVABLE"),
    ("2.6.24", 0xA00D2, "GFP_HIGHUSER __GFP_RECLAIMABLE"),
    ("2.6.24", 0x1201D2, "GFP_HIGHUSER_MOVABLE __GFP_COLD"),
    ("2.6.30", 0x1280D2, "GFP_HIGHUSER_MOVABLE __GFP_ZERO"),
    ("2.6.31", 0x201DA, "GFP_HIGHUSER_MOVABLE __GFP_COLD"),
    ("2.6.31", 0x1000D0, "GFP_KERNEL 0x100000"),
    ("2.6.30", 0x2000D0, "GFP_KERNEL 0x200000"),
    ("2.6.31", 0x2000D0, "GFP_KERNEL __GFP_NOTRACK"),
    ("2.6.32-642.11.1.el6.x86_64", 0x280DA, "GFP_HIGHUSER_MOVABLE __GFP_ZERO"),
    ("2.6.37", 0x4200DA, "GFP_HIGHUSER_MOVABLE 0x400000"),
    ("2.6.38", 0x4200DA, "GFP_HIGHUSER_MOVABLE __GFP_NO_KSWAPD"),
    ("2.6.39", 0x8000D0, "GFP_KERNEL __GFP_OTHER_NODE"),
    ("3.2", 0x10200DA, "GFP_HIGHUSER_MOVABLE 0x1000000"),
    ("3.3", 0x10200DA, "GFP_HIGHUSER_MOVABLE __GFP_WRITE"),
    ("3.5", 0x20D0, "GFP_KERNEL __GFP_NO_GROW"),
    ("3.6", 0x20D0, "GFP_KERNEL __GFP_MEMALLOC"),
    ("3.7", 0x1000D0, "GFP_KERNEL 0x100000"),
    ("3.8", 0x1000D0, "GFP_KERNEL __GFP_KMEMCG"),
    ("3.15", 0x1000D0, "GFP_KERNEL __GFP_KMEMCG"),
    ("3.16", 0x1000D0, "GFP_KERNEL 0x100000"),
    ("4.1", 0x1000D0, "GFP_KERNEL __GFP_NOACCOUNT"),
    ("4.3", 0xD0, "GFP_KERNEL"),
    ("4.4", 0x24000C0, "GFP_KERNEL"),
    ("4.4", 0x24201CA, "GFP_HIGHUSER_MOVABLE __GFP_COLD"),
    ("4.4", 0x24280CA, "GFP_HIGHUSER_MOVABLE __GFP_ZERO"),
    ("4.4", 0x2400040, "GFP_NOFS"),
    ("4.4", 0x24000D0, "GFP_KERNEL __GFP_RECLAIMABLE"),
    ("4.4", 0x2080020, "__GFP_HIGH __GFP_ATOMIC __GFP_KSWAPD_RECLAIM"),
    ("4.4", 0x25000C0, "GFP_KERNEL __GFP_NOACCOUNT"),
    ("4.5", 0x25000C0, "GFP_KERNEL __GFP_ACCOUNT"),
]


@pytest.mark.parametrize(("release", "mask", "names"), MASKS)
def test_a_mask_is_read_by_the_table_of_its_kernel(release, mask, names):
    assert " ".join(flag_names(mask, None, release)) == names


def test_every_change_of_a_bit_is_asked_on_both_sides():
    """Before a change its bit reads otherwise than from there on."""
    for since, bit, name in BITS[2:]:
        release = ".".join(map(str, since))
        before = ".".join(map(str, (*since[:-1], since[-1] - 1)))
        assert flag_names(bit, None, release) != flag_names(bit, None, before), (release, name)


def test_names_that_the_log_prints_stand():
    assert flag_names(0, (), "6.1") == ()
    assert flag_names(0xCC0, ("GFP_KERNEL",), "6.1") == ("GFP_KERNEL",)


def test_without_a_kernel_nothing_is_guessed():
    assert flag_names(0xD0, None, None) is None
    assert flag_names(0xD0, None, "nonsense") is None


@pytest.mark.parametrize(
    ("release", "mask", "zone"),
    [
        ("2.6.11", 0xD0, "Normal"), ("2.6.11", 0xD1, "DMA"), ("2.6.11", 0xD2, "HighMem"),
        ("2.6.14", 0xD4, "Normal"), ("2.6.15", 0xD4, "DMA32"), ("2.6.24", 0x1200D2, "Movable"),
        ("2.6.30", 0xDA, "HighMem"), ("2.6.31", 0xDA, "Movable"), ("6.12", 0x140DCA, "Movable"),
        ("6.12", 0xCC0, "Normal"), ("6.12", 0xCC4, "DMA32"), (None, 0xCC1, "DMA"),
    ],
)  # fmt: skip
def test_the_highest_zone_that_a_request_may_use(release, mask, zone):
    assert highest_zone(mask, release) == zone


def test_cma_serves_movable_requests():
    assert may_use_cma(0x140DCA, ("GFP_HIGHUSER_MOVABLE", "__GFP_COMP"), "6.12")
    assert may_use_cma(0x280DA, None, "3.13")
    assert not may_use_cma(0xCC0, ("GFP_KERNEL",), "6.12")
    assert not may_use_cma(0xD0, None, "3.13")
