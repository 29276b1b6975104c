#!/bin/sh
# Installs tcpcap from the directory that this script lies in, or takes it away. Starts nothing, and leaves alone what
# stands in /etc/tcpcap.
set -eu

usage() {
    echo "usage: install.sh [--prefix DIR] [--uninstall]" >&2
    echo "  --prefix DIR   where to, instead of /usr/local" >&2
    echo "  --uninstall    stop it, take it out of the kernel, and remove what was installed;" >&2
    echo "                 configuration and history stay" >&2
    exit 2
}

fail() {
    echo "error: $1" >&2
    echo " help: $2" >&2
    exit 1
}

prefix=/usr/local
uninstall=no
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix) [ $# -ge 2 ] || usage; prefix=$2; shift ;;
        --uninstall) uninstall=yes ;;
        *) usage ;;
    esac
    shift
done
case "$prefix" in
    /*) ;;
    *) fail "$prefix is no absolute path" "name one that begins with /" ;;
esac
[ "$(id -u)" = 0 ] || fail "this needs root" "run it with sudo"
cd "$(dirname "$0")"

has_systemd() { command -v systemctl >/dev/null; }
is_booted() { [ -d /run/systemd/system ]; }

if [ "$uninstall" = yes ]; then
    if is_booted && [ -e /etc/systemd/system/tcpcap.service ]; then
        systemctl disable --now tcpcap
    fi
    # Without tcpcap nobody could lift a block, or see it.
    "$prefix/bin/tcpcap" detach
    rmdir /sys/fs/bpf/tcpcap 2>/dev/null || true
    find bin share -type f | while read -r file; do
        rm -f "$prefix/$file"
    done
    # Only directories that a system does not begin with, and only where nothing else is in them.
    for directory in share/doc share/man/man1 share/bash-completion share/zsh share/fish; do
        [ ! -d "$prefix/$directory" ] || find "$prefix/$directory" -depth -type d -empty -delete
    done
    rm -f /etc/systemd/system/tcpcap.service /etc/sysusers.d/tcpcap.conf /etc/tmpfiles.d/tcpcap.conf
    rmdir /etc/sysusers.d 2>/dev/null || true
    if is_booted; then
        systemctl daemon-reload
    fi
    echo "tcpcap is removed; /etc/tcpcap, /var/lib/tcpcap and the user tcpcap stay"
    exit 0
fi

bin/tcpcap --version >/dev/null || fail "this tcpcap does not run here ($(uname -m))" "take the tarball of this architecture"
# Before anything is changed: what runs must not be replaced by what would not start.
bin/tcpcap check >/dev/null || fail "it does not take the configuration in /etc/tcpcap" "correct it, and run this again"

find bin share -type f | while read -r file; do
    mode=644
    [ "${file%%/*}" = share ] || mode=755
    install -D -m "$mode" "$file" "$prefix/$file.new"
    mv -f "$prefix/$file.new" "$prefix/$file"
done
install -d /etc/tcpcap/config.d
install -m 644 etc/tcpcap/config.d/README /etc/tcpcap/config.d/README
if [ ! -e /etc/tcpcap/config.toml ]; then
    install -m 644 etc/tcpcap/config.toml /etc/tcpcap/config.toml
fi
if has_systemd; then
    install -D -m 644 systemd/sysusers.d/tcpcap.conf /etc/sysusers.d/tcpcap.conf
    install -D -m 644 systemd/tmpfiles.d/tcpcap.conf /etc/tmpfiles.d/tcpcap.conf
    install -d /etc/systemd/system
    sed "s|/usr/bin/tcpcap|$prefix/bin/tcpcap|g" systemd/tcpcap.service >/etc/systemd/system/tcpcap.service
    systemd-sysusers tcpcap.conf
    if is_booted; then
        systemd-tmpfiles --create tcpcap.conf
        systemctl daemon-reload
    fi
fi
echo "tcpcap $(bin/tcpcap --version | cut -d' ' -f2) is installed below $prefix; it does not run yet, or goes on as before"
