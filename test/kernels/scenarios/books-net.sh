# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The network of books.sh and of the stress: books-a and books-b with a router
# between them, beside it a bridge, and a device behind which there is nothing.
# Nothing but what the test sends is on its devices: neighbours are known, and a rule
# keeps back what IPv6 would tell multicast routers.
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
ip -n books-a link add k-out type dummy
up a k-out 10.6.4.1/24
neighbour() { ip -n "books-$1" neighbour add "$2" lladdr "$3" dev "$4"; }
neighbour a 10.6.1.254 02:00:00:06:01:fe k-east
neighbour a 10.6.3.2 02:00:00:06:03:02 k-near
neighbour r 10.6.1.1 02:00:00:06:01:01 k-left
neighbour r 10.6.2.2 02:00:00:06:02:02 k-right
neighbour b 10.6.2.254 02:00:00:06:02:fe k-west
neighbour b 10.6.3.1 02:00:00:06:03:01 k-far
neighbour a 10.6.4.2 02:00:00:06:04:02 k-out
ip -n books-a route add default via 10.6.1.254
ip -n books-b route add default via 10.6.2.254
ip netns exec books-r nft add table ip filter
ip netns exec books-r nft add chain ip filter forward '{ type filter hook forward priority filter; }'
ip netns exec books-r nft add rule ip filter forward udp dport 7003 counter drop

# The same by IPv6.
for name in a r b; do
	ip netns exec books-$name nft -f - <<-'NFT'
		table ip6 quiet {
			chain output {
				type filter hook output priority filter;
				icmpv6 type { mld-listener-report, mld2-listener-report } drop
			}
		}
	NFT
done
ip netns exec books-r sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip netns exec books-b sh -c 'echo 3-127 >/proc/sys/net/ipv6/icmp/ratemask' # the same
address6() { ip -n "books-$1" address add "$2" dev "$3" nodad; }
address6 a fd00:6:1::1/64 k-east
address6 r fd00:6:1::fe/64 k-left
address6 r fd00:6:2::fe/64 k-right
address6 b fd00:6:2::2/64 k-west
neighbour a fd00:6:1::fe 02:00:00:06:01:fe k-east
neighbour r fd00:6:1::1 02:00:00:06:01:01 k-left
neighbour r fd00:6:2::2 02:00:00:06:02:02 k-right
neighbour b fd00:6:2::fe 02:00:00:06:02:fe k-west
ip -n books-a route add default via fd00:6:1::fe
ip -n books-b route add default via fd00:6:2::fe
ip netns exec books-r nft add table ip6 filter
ip netns exec books-r nft add chain ip6 filter forward '{ type filter hook forward priority filter; }'
ip netns exec books-r nft add rule ip6 filter forward udp dport 7073 counter drop
