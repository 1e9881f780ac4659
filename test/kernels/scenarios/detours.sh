# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Packets that a rule duplicates, that tc redirects and mirrors, on the way out and on
# the way in, that a group of sockets shares, and that go to the rings of packet sockets.
ip netns add detour-a
ip netns add detour-b
in_a() { ip netns exec detour-a "$@"; }
in_b() { ip netns exec detour-b "$@"; }
ip link add east address 02:00:00:0b:0e:01 netns detour-a type veth peer name west address 02:00:00:0b:0e:02 netns detour-b
ip -n detour-a link add aside type dummy
ip -n detour-b link add out type dummy
ip -n detour-b link add into type dummy
ip -n detour-a address add 10.11.14.1/24 dev east
ip -n detour-b address add 10.11.14.2/24 dev west
for device in east aside; do
	ip -n detour-a link set $device addrgenmode none
	ip -n detour-a link set $device up
done
for device in west out into; do
	ip -n detour-b link set $device addrgenmode none
	ip -n detour-b link set $device up
done
for host in 2 3; do # both are the same
	ip -n detour-a neighbour add 10.11.14.$host lladdr 02:00:00:0b:0e:02 dev east
done
ip -n detour-b neighbour add 10.11.14.1 lladdr 02:00:00:0b:0e:01 dev west
ip -n detour-a route add 239.0.0.0/8 dev east
in_a nft add table ip filter
in_a nft add chain ip filter out '{ type filter hook output priority filter; }'
in_a nft add rule ip filter out udp dport 7024 dup to 10.11.14.3 device east

# filter NAMESPACE DEVICE DIRECTION PORT ACTION…
filter() {
	space=$1 device=$2 direction=$3 port=$4
	shift 4
	ip netns exec "$space" tc filter add dev "$device" "$direction" protocol ip flower ip_proto udp dst_port "$port" action mirred "$@"
}
in_a tc qdisc add dev east clsact
in_b tc qdisc add dev west clsact
filter detour-a east egress 7025 egress redirect dev aside
filter detour-b west ingress 7026 egress redirect dev out
filter detour-b west ingress 7027 ingress redirect dev into
filter detour-b west ingress 7028 ingress mirror dev into

in_b packets sink -read -at 10.11.14.2:7024 -ports 9 >"$OUT.sink" &
sink=$!
in_b packets sink -read -at 239.11.14.1:7036 -join west -sockets 3 >"$OUT.group" &
group=$!
await 60 sh -c "cat '$OUT.sink' '$OUT.group' | grep -c ready | grep -qx 2"
for port in 7024 7025 7026 7027 7028; do
	in_a packets udp -to 10.11.14.2:$port
done
in_a packets udp -to 239.11.14.1:7036
received detour-b 8

# They stay until the end: a report of the group's membership may come first.
ip netns exec detour-a packets tap -ring -count 0 -device east >"$OUT.ring-out" &
ring_out=$!
ip netns exec detour-b packets tap -ring -count 0 -device west >"$OUT.ring-in" &
ring_in=$!
await 60 sh -c "cat '$OUT.ring-out' '$OUT.ring-in' | grep -c ready | grep -qx 2"
in_a packets udp -to 10.11.14.2:7031
received detour-b 9
kill $ring_out $ring_in
wait $ring_out $ring_in

in_a packets tap -ring -refuse -device east >"$OUT.no-out" &
no_out=$!
in_b packets tap -ring -refuse -device west >"$OUT.no-in" &
no_in=$!
await 60 sh -c "cat '$OUT.no-out' '$OUT.no-in' | grep -c ready | grep -qx 2"
in_a packets udp -to 10.11.14.2:7032
received detour-b 10
kill $sink $group $no_out $no_in

# From a ring, which the kernel tells when the packet is received.
in_a packets frame -ring -device east -to-mac 02:00:00:0b:0e:02 -kind icmp -from 10.11.14.1:0 -to 10.11.14.2:0
