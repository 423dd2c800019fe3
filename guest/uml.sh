#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# PID 1 of User Mode Linux, on the host's files, which it only reads: runs the
# script it is given, says how that ended, and powers off. UML adds arguments.

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug
sh "$1"
echo "## exit uml $?"
# reboot(2) with LINUX_REBOOT_CMD_POWER_OFF: few hosts have a program for just that
exec perl -e 'syscall 169, 0xfee1dead, 0x28121969, 0x4321fedc, 0'
