# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# One IPv6 echo, after neighbour discovery.
ip netns add six-a
ip netns add six-b
ip link add east netns six-a type veth peer name west netns six-b
ip -n six-a address add fd00:1:6::1/64 dev east nodad
ip -n six-b address add fd00:1:6::2/64 dev west nodad
ip -n six-a link set east up
ip -n six-b link set west up

ip netns exec six-a ping -n -6 -c 1 -W 10 fd00:1:6::2
