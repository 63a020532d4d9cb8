#!/bin/sh
# Makes the root file system of the base image: Debian 12 "minbase", without documentation, locales, package lists or
# package sources, as a tar archive whose order, owners and times are fixed.
# Usage: rootfs.sh <archive to write> <mirror URI>   (root; needs debootstrap)
# The mirror comes from the caller, who reads it from the host's apt configuration; it does not stay in the archive.
set -eu
archive=$1
mirror=$2
work=$(mktemp -d "${archive}.work.XXXXXX")
trap 'rm -rf "$work" "$archive.part"' EXIT
trap 'exit 130' INT TERM
root=$work/root

debootstrap --variant=minbase bookworm "$root" "$mirror"

cat >"$root/etc/dpkg/dpkg.cfg.d/switchyard-lean" <<'CFG'
# Images carry no documentation: what a package's licence asks for stays, the rest is left out at install time.
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/lintian/*
CFG
cat >"$root/etc/apt/apt.conf.d/90switchyard-lean" <<'CFG'
APT::Install-Recommends "false";
APT::Install-Suggests "false";
Acquire::Languages "none";
Acquire::Retries "3";
CFG
# As Debian's own container images do: a package's service must not start while an image is built.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"

find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -type l -delete
find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
rm -rf "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/* "$root"/usr/share/lintian/*
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old "$root"/var/log/* "$root"/tmp/*
: >"$root/etc/apt/sources.list"
: >"$root/etc/resolv.conf"
rm -f "$root/etc/hostname" "$root/etc/machine-id"
: >"$root/etc/machine-id"

tar --sort=name --mtime='@0' --numeric-owner --one-file-system --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' \
  -C "$root" -cf "$archive.part" .
mv "$archive.part" "$archive"
