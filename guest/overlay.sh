#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# In the guest: was the overlay guest/dt/probe.dtso applied to the device tree?
echo "TAP version 13"
echo "1..1"
if [ -e /proc/device-tree/dmaheap-probe/status ]; then
	echo "ok 1 device tree overlay applied"
else
	echo "not ok 1 device tree overlay applied"
	exit 1
fi
