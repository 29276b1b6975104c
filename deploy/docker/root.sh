#!/bin/sh
# Makes the root directory of the image in $1: tcpcap from /out, nft, the libraries that nft is linked with, and what
# Debian says of these. Runs in a stage of the Dockerfile.
set -eu
image=$1
id=61112

mkdir -p "$image/etc" "$image/tmp" "$image/run/tcpcap" "$image/var/lib/tcpcap" "$image/var/lib/dpkg/status.d" \
    "$image/usr/bin" "$image/usr/sbin" "$image/usr/lib" "$image/usr/lib64" "$image/usr/share/doc/tcpcap"
ln -s usr/bin usr/sbin usr/lib usr/lib64 "$image"

install -m 0755 /out/tcpcap "$image/usr/bin/tcpcap"
install -m 0644 /make/LICENSE-* "$image/usr/share/doc/tcpcap/"
for list in /out/*.cdx.json; do
    if [ -e "$list" ]; then install -m 0644 "$list" "$image/usr/share/doc/tcpcap/"; fi
done

files="/usr/sbin/nft $(ldd /usr/sbin/nft | grep -o '/[^ ]*')"
for file in $files; do
    # /lib and /lib64 are links to those in /usr.
    install -D "$(readlink -f "$file")" "$image/usr${file#/usr}"
done
for file in $files; do
    dpkg-query -S "$(readlink -f "$file")" | cut -d: -f1
done | sort -u | while read -r package; do
    # Where scanners for known holes look in images without a package manager.
    dpkg-query -s "$package" >"$image/var/lib/dpkg/status.d/$package"
    install -D -m 0644 "/usr/share/doc/$package/copyright" "$image/usr/share/doc/$package/copyright"
done

printf '%s\n' 'root:x:0:0:root:/:/nonexistent' "tcpcap:x:$id:$id:tcpcap:/var/lib/tcpcap:/nonexistent" >"$image/etc/passwd"
printf '%s\n' 'root:x:0:' "tcpcap:x:$id:" >"$image/etc/group"
cp /etc/debian_version "$image/etc/"
install -m 0644 /usr/lib/os-release "$image/usr/lib/os-release"
ln -s ../usr/lib/os-release "$image/etc/os-release"
chmod 1777 "$image/tmp"
# For its group too, so that root without any privilege can be it.
chown "$id:$id" "$image/run/tcpcap" "$image/var/lib/tcpcap"
chmod 0770 "$image/run/tcpcap" "$image/var/lib/tcpcap"
