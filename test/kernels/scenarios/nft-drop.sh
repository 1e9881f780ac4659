# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A firewall rule in the receiving namespace drops three echo requests.
ip netns add drop-a
ip netns add drop-b
ip link add east address 02:00:00:03:00:01 netns drop-a type veth peer name west address 02:00:00:03:00:02 netns drop-b
ip -n drop-a address add 10.1.3.1/24 dev east
ip -n drop-b address add 10.1.3.2/24 dev west
ip -n drop-a link set east up
ip -n drop-b link set west up
ip -n drop-a neighbour add 10.1.3.2 lladdr 02:00:00:03:00:02 dev east
ip netns exec drop-b nft -f - <<'RULES'
table ip firewall {
	chain in {
		type filter hook input priority filter
		icmp type echo-request counter drop
	}
}
RULES

if ip netns exec drop-a ping -n -c 3 -i 0.2 -W 1 10.1.3.2; then
	echo "an answer came through" >&2
	exit 1
fi
ip netns exec drop-b nft list ruleset | grep 'counter packets 3 '
