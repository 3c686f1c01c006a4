#!/bin/sh
# The guest's init: mounts what the agent needs, runs it, and switches the machine off.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t ramfs ram /ram
exec </dev/null >/dev/ttyS0 2>&1

top=/sys/fs/cgroup
if /bin/busybox grep -qw lab=v1 /proc/cmdline; then
	/bin/busybox mount -t cgroup -o memory,cpuset cgroup $top
	echo 1 >$top/memory.use_hierarchy
	echo 1 >$top/cgroup.clone_children
else
	/bin/busybox mount -t cgroup2 cgroup $top
	echo +memory >$top/cgroup.subtree_control
	echo +cpuset >$top/cgroup.subtree_control
fi

# Which disk the kernel finds first is chance; their serial numbers tell them apart.
for disk in /sys/class/nvme/nvme*; do
	read -r name <$disk/serial
	/bin/busybox ln -s ${disk##*/}n1 /dev/lab-$name
done
/bin/busybox mkswap /dev/lab-swap >/dev/null
/bin/busybox swapon /dev/lab-swap
/bin/busybox dd if=/dev/zero of=/ram/file bs=64k count=64 2>/dev/null

PYTHONHOME=/python PYTHONDONTWRITEBYTECODE=1 /bin/python -X utf8 -S /agent.py
echo "lab: the agent ended with status $?"
/bin/busybox poweroff -f
