#!/bin/busybox sh
# The guest's init: plays /scene, waits for the first kill and prints the kernel's log.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir /dev/shm
mount -t tmpfs shm /dev/shm -o size=100%
exec </dev/null >/dev/ttyS0 2>&1
for module in /modules/*.ko; do
	[ -e "$module" ] && insmod "$module"
done
cgroups=/sys/fs/cgroup
mount -t cgroup2 cgroup $cgroups
echo +memory >$cgroups/cgroup.subtree_control
sysctl -q kernel.threads-max=100000 kernel.pid_max=100000 fs.file-max=10000000

# hold USE COUNT [PATH]: have memory used that way, and wait until it is.
hold() {
	uses "$@" >/tmp/held &
	until grep -q holds /tmp/held || ! kill -0 $!; do sleep 0.2; done
	rm /tmp/held
}
# within CGROUP COMMAND...: run it there.
within() {
	cgroup=$1
	shift
	(echo 0 >$cgroups/$cgroup/cgroup.procs && exec "$@")
}
# disk NAME: the device with that serial number.
disk() {
	for found in /sys/class/nvme/nvme*; do
		[ "$(tr -d ' ' <$found/serial)" = "$1" ] && echo /dev/${found##*/}n1
	done
}

echo "lab: ready"
(. /scene) &
# Builtins only: there may be no memory to start a program.
while read -r line; do
	case $line in *"Killed process"*) break ;; esac
done </proc/kmsg
kill -9 -1
sleep 1
echo "lab: log"
dmesg
echo "lab: end"
poweroff -f
