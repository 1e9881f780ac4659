# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A router between two networks sends what is for 10.9.7.7 to 10.2.7.2.
ip netns add dnat-a
ip netns add dnat-r
ip netns add dnat-b
ip link add east netns dnat-a type veth peer name left netns dnat-r
ip link add west netns dnat-b type veth peer name right netns dnat-r
ip -n dnat-a address add 10.1.7.1/24 dev east
ip -n dnat-r address add 10.1.7.254/24 dev left
ip -n dnat-r address add 10.2.7.254/24 dev right
ip -n dnat-b address add 10.2.7.2/24 dev west
ip -n dnat-a link set east up
ip -n dnat-r link set left up
ip -n dnat-r link set right up
ip -n dnat-b link set west up
ip -n dnat-a route add default via 10.1.7.254
ip -n dnat-b route add default via 10.2.7.254
ip netns exec dnat-r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
ip netns exec dnat-r nft -f - <<'RULES'
table ip nat {
	chain pre {
		type nat hook prerouting priority dstnat
		ip daddr 10.9.7.7 dnat to 10.2.7.2
	}
}
RULES

ip netns exec dnat-a ping -n -c 1 -W 10 10.9.7.7
