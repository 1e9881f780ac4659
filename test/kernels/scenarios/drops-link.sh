# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The ways in which devices and queues drop packets.
ip netns add link-a
ip netns add link-b
in_a() { ip netns exec link-a "$@"; }

# Queues: of 20 packets one is sent at once, some have room, the rest is dropped.
ip -n link-a link add slow type dummy
ip -n link-a link add fair type dummy
ip -n link-a address add 10.5.1.1/24 dev slow
ip -n link-a address add 10.5.2.1/24 dev fair
ip -n link-a link set slow up
ip -n link-a link set fair up
in_a tc qdisc add dev slow root tbf rate 1kbit burst 1600 limit 1600
in_a tc qdisc add dev fair root fq maxrate 1kbit flow_limit 5
for port in 1 2; do
	ip -n link-a neighbour add 10.5.$port.2 lladdr 02:00:00:05:00:0$port dev "$([ $port = 1 ] && echo slow || echo fair)"
	in_a packets udp -may-fail -to 10.5.$port.2:610$port -size 1000 -count 20
done
in_a tc -s qdisc show dev slow | grep 'dropped 18,'
in_a tc -s qdisc show dev fair | grep 'dropped 14,'

# A tunnel with room for 5 packets that nobody takes out.
ip netns exec link-a packets tun -name tunnel >"$OUT.tun" &
tunnel=$!
await 60 grep -q ready "$OUT.tun"
ip -n link-a link set tunnel txqueuelen 5
ip -n link-a link set tunnel addrgenmode none
ip -n link-a address add 10.5.3.1/24 dev tunnel
ip -n link-a link set tunnel up
in_a packets udp -may-fail -to 10.5.3.2:6103 -count 20

# XDP, after the driver and in it.
xdp() { # DEVICE NETWORK MODE…
	device=$1 network=$2
	shift 2
	ip link add "$device-a" netns link-a type veth peer name "$device" netns link-b
	ip -n link-a address add 10.5."$network".1/24 dev "$device-a"
	ip -n link-b address add 10.5."$network".2/24 dev "$device"
	ip -n link-a link set "$device-a" up
	ip -n link-b link set "$device" up
	ip -n link-a neighbour add 10.5."$network".2 lladdr "$(ip -n link-b -br link show "$device" | awk '{ print $3 }')" dev "$device-a"
	ip netns exec link-b packets xdp -device "$device" "$@" >"$OUT.$device" &
	await 60 grep -q ready "$OUT.$device"
	in_a packets udp -to 10.5."$network".2:610"$network" -count 3
}
xdp generic 4
generic=$!
xdp native 5 -native
native=$!

# A bridge that takes nothing without a tag.
ip netns add link-br
ip -n link-br link add br0 type bridge vlan_filtering 1
ip link add tagged netns link-a type veth peer name port netns link-br
ip -n link-br link set port master br0
ip netns exec link-br bridge vlan delete vid 1 dev port
ip -n link-a address add 10.5.6.1/24 dev tagged
ip -n link-a neighbour add 10.5.6.2 lladdr 02:00:00:05:06:02 dev tagged
ip -n link-a link set tagged up
ip -n link-br link set port up
ip -n link-br link set br0 up
in_a packets udp -to 10.5.6.2:6106 -count 3

# What the tunnel still holds is thrown away with it.
kill $tunnel $generic $native
wait
