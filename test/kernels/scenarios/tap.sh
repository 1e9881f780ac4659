# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# TCP segments out of a tap device with NAPI: four at once, as a virtual machine sends
# them, then twenty of each of two streams by a way that hands the memory of merged packets back to the driver.
# GRO holds packets for one tick of the kernel's clock.
ip netns add tap-a
ip -n tap-a tuntap add mode tap name tap0
ip -n tap-a link set tap0 address 02:00:00:0c:02:fe addrgenmode none
ip -n tap-a address add 10.12.2.254/24 dev tap0
ip netns exec tap-a sh -c 'cd /sys/class/net/tap0; echo 200000000 >gro_flush_timeout; echo 100000 >napi_defer_hard_irqs'
ip -n tap-a link set tap0 up
ip -n tap-a neighbour add 10.12.2.1 lladdr 02:00:00:0c:02:01 dev tap0
ip netns exec tap-a packets feed -name tap0 -from 10.12.2.1:999 -to 10.12.2.254:7031 -count 4 -pieces 40 >"$OUT.feed" &
feed=$!
await 60 grep -q ready "$OUT.feed"
# Nobody listens: what GRO lets go of is dropped.
await 60 ip netns exec tap-a awk '/^IpExt:/ { if (at) exit $at < 44; for (i = 2; i <= NF; i++) if ($i == "InNoECTPkts") at = i }' /proc/net/netstat
kill $feed
wait $feed || true
