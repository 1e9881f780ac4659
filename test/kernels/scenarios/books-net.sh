# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The network of books.sh and of the stress: books-a and books-b with a router
# between them, and beside it a bridge. Nothing but what the test sends is on its
# devices: neighbours are known, and there is no IPv6.
for name in a r b br; do ip netns add books-$name; done
ip link add k-east address 02:00:00:06:01:01 netns books-a type veth peer name k-left address 02:00:00:06:01:fe netns books-r
ip link add k-west address 02:00:00:06:02:02 netns books-b type veth peer name k-right address 02:00:00:06:02:fe netns books-r
ip link add k-near address 02:00:00:06:03:01 netns books-a type veth peer name k-port1 netns books-br
ip link add k-far address 02:00:00:06:03:02 netns books-b type veth peer name k-port2 netns books-br
ip -n books-br link add k-bridge type bridge mcast_snooping 0
up() { # NAMESPACE DEVICE [ADDRESS]
	ip -n "books-$1" link set "$2" addrgenmode none
	if [ $# = 3 ]; then ip -n "books-$1" address add "$3" dev "$2"; fi
	ip -n "books-$1" link set "$2" up
}
ip -n books-br link set k-port1 master k-bridge
ip -n books-br link set k-port2 master k-bridge
up r k-left 10.6.1.254/24
up r k-right 10.6.2.254/24
up br k-bridge
up br k-port1
up br k-port2
up a k-east 10.6.1.1/24
up a k-near 10.6.3.1/24
up b k-west 10.6.2.2/24
up b k-far 10.6.3.2/24
ip netns exec books-r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
ip netns exec books-b sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_ratemask' # an error for every datagram
neighbour() { ip -n "books-$1" neighbour add "$2" lladdr "$3" dev "$4"; }
neighbour a 10.6.1.254 02:00:00:06:01:fe k-east
neighbour a 10.6.3.2 02:00:00:06:03:02 k-near
neighbour r 10.6.1.1 02:00:00:06:01:01 k-left
neighbour r 10.6.2.2 02:00:00:06:02:02 k-right
neighbour b 10.6.2.254 02:00:00:06:02:fe k-west
neighbour b 10.6.3.1 02:00:00:06:03:01 k-far
ip -n books-a route add default via 10.6.1.254
ip -n books-b route add default via 10.6.2.254
ip netns exec books-r nft add table ip filter
ip netns exec books-r nft add chain ip filter forward '{ type filter hook forward priority filter; }'
ip netns exec books-r nft add rule ip filter forward udp dport 7003 counter drop
