# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A neighbour that has not been heard of for a while: packets go to it as before,
# while the kernel makes up its mind whether to ask.
ip netns add stale-a
ip netns add stale-b
ip link add east netns stale-a type veth peer name west netns stale-b
ip -n stale-a address add 10.1.10.1/24 dev east
ip -n stale-b address add 10.1.10.2/24 dev west
ip -n stale-a link set east up
ip -n stale-b link set west up
ip -n stale-a neighbour add 10.1.10.2 lladdr "$(ip -n stale-b -br link show west | awk '{ print $3 }')" nud stale dev east

ip netns exec stale-a ping -n -c 1 -W 10 10.1.10.2
