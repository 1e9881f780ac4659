# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# One echo over a veth pair. The neighbours are known, so that nothing waits for ARP.
ip netns add ping-a
ip netns add ping-b
ip link add east address 02:00:00:01:00:01 netns ping-a type veth peer name west address 02:00:00:01:00:02 netns ping-b
ip -n ping-a address add 10.1.1.1/24 dev east
ip -n ping-b address add 10.1.1.2/24 dev west
ip -n ping-a link set east up
ip -n ping-b link set west up
ip -n ping-a neighbour add 10.1.1.2 lladdr 02:00:00:01:00:02 dev east
ip -n ping-b neighbour add 10.1.1.1 lladdr 02:00:00:01:00:01 dev west

ip netns exec ping-a ping -n -c 1 -W 10 10.1.1.2
