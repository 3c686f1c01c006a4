"""What fills the guest's memory, scene by scene, and the cause that its report must show."""

from __future__ import annotations

from typing import NamedTuple


class Scene(NamedTuple):
    """One boot: a shell script that uses memory up (init.sh has its words), and the machine."""

    name: str
    cause: str
    """What ``oomlab report`` must call it (analysis/causes)."""
    script: str
    kernel: str = "7.2"
    flavour: str = "cloud-amd64"
    """The small kernel, or "amd64", which has drivers of real machines."""
    boot: str = ""
    """More words for the kernel's command line."""
    devices: str = ""
    """More options of QEMU's."""
    modules: tuple[str, ...] = ()
    disk_mib: int = 0
    """A disk of that size and the serial number "disk", filled with zeros."""
    disk_bytes_per_second: int = 0


BALLOON = "-device virtio-balloon-pci"

SCENES = (
    Scene(
        "balloon",
        "a balloon of the hypervisor",
        "echo 'monitor: balloon 200'; sleep 10; uses hog",
        devices=BALLOON,
        modules=("virtio_balloon",),
    ),
    Scene(
        "balloon",
        "memory taken out of RAM",
        "echo 'monitor: balloon 200'; sleep 10; uses hog",
        kernel="6.12",
        devices=BALLOON,
        modules=("virtio_balloon",),
    ),
    Scene(
        "zram",
        "compressed swap in memory",
        "echo 128M >/sys/block/zram0/disksize; mkswap /dev/zram0 >/dev/null; swapon /dev/zram0\n"
        "uses hog",
        modules=("lz4hc_compress", "zram"),
    ),
    Scene("pipes", "memory that is in no counter", "uses pages 400"),
    Scene(
        "idle-huge",
        "huge pages reserved and unused",
        "sysctl -q vm.nr_hugepages=60; uses hog",
    ),
    Scene(
        "used-huge",
        "memory in huge pages (hugetlb)",
        "sysctl -q vm.nr_hugepages=60; hold huge 55; uses hog",
    ),
    Scene("threads", "kernel stacks", "for i in 1 2 3 4 5 6; do hold threads 1000; done; uses hog"),
    Scene("tables", "page tables", "hold tables 25000; uses hog"),
    Scene(
        "shmem",
        "shared memory and tmpfs",
        "dd if=/dev/zero of=/dev/shm/file bs=1M count=150; uses hog",
    ),
    Scene("locked", "locked memory", "hold locked 150; uses hog"),
    Scene(
        "ramfs",
        "unevictable memory",
        "mkdir /ram; mount -t ramfs ram /ram; dd if=/dev/zero of=/ram/file bs=1M count=150\n"
        "uses hog",
    ),
    Scene("objects", "unreclaimable slab", "hold objects 80000; uses hog"),
    Scene(
        "movable",
        "a low zone is exhausted, others are not",
        "uses pages 400",
        boot="movablecore=200M",
    ),
    Scene("cma", "free memory is CMA's, which this request may not use", "uses pages 400",
          boot="cma=160M"),
    Scene("fragments", "fragmentation", "hold every-other 240; uses forks", boot="pti=on"),
    Scene(
        "min",
        "memory.min keeps memory from being reclaimed",
        "mkdir $cgroups/kept $cgroups/rest; echo 160M >$cgroups/kept/memory.min\n"
        "within kept uses cached 160 $(disk disk) & sleep 20\n"
        "within rest uses hog",
        disk_mib=160,
    ),
    Scene(
        "cgroup-min",
        "memory.min keeps memory from being reclaimed",
        "mkdir $cgroups/all; echo +memory >$cgroups/all/cgroup.subtree_control\n"
        "mkdir $cgroups/all/kept $cgroups/all/rest; echo 100M >$cgroups/all/memory.max\n"
        "echo 60M >$cgroups/all/memory.min; echo 60M >$cgroups/all/kept/memory.min\n"
        "within all/kept uses cached 60 $(disk disk) & sleep 15\n"
        "within all/rest uses hog",
        disk_mib=60,
    ),
    Scene(
        "thrash",
        "page cache is thrashing",
        "mkdir $cgroups/app; echo 24M >$cgroups/app/memory.max\n"
        "echo 4096 >/sys/block/$(basename $(disk disk))/queue/read_ahead_kb\n"
        "for i in $(seq 12); do within app uses file 64 $(disk disk) & done\n"
        "sleep 60; within app uses hog",
        disk_mib=64,
        disk_bytes_per_second=16 << 20,
    ),
    Scene(
        "gpu",
        "memory of graphics drivers",
        "hold gpu 120; uses hog",
        flavour="amd64",
        devices="-vga none -device qxl-vga -spice unix=on,addr=spice,disable-ticketing=on",
        modules=("drm", "drm_kms_helper", "drm_client_lib", "drm_exec", "ttm", "drm_ttm_helper",
                 "qxl"),
    ),
)  # fmt: skip
