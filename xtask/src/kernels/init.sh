#!/bin/busybox sh
# The first process under another kernel: makes the place usable, runs what /programs says, and switches the machine off.
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
for module in /modules/*; do
    [ -e "$module" ] && insmod "$module"
done
[ -b /dev/vda ] && mount -t ext4 /dev/vda /kept
# The kernel has the first serial line to itself, so that nothing it says tears a line of ours.
exec </dev/null >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 raw
echo "__UP $(cut -d' ' -f1 /proc/uptime) $(uname -r)"
. /programs
cd /
umount /kept 2>/dev/null
sync
poweroff -f
