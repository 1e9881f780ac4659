# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A datagram through each of three tunnels: the same packet in new headers.
ip netns add tun-a
ip netns add tun-b
ip link add east address 02:00:00:0b:06:01 netns tun-a type veth peer name west address 02:00:00:0b:06:02 netns tun-b
ip -n tun-a address add 10.11.6.1/24 dev east
ip -n tun-b address add 10.11.6.2/24 dev west
ip -n tun-a neighbour add 10.11.6.2 lladdr 02:00:00:0b:06:02 dev east
ip -n tun-b neighbour add 10.11.6.1 lladdr 02:00:00:0b:06:01 dev west
for side in a b; do
	if [ $side = a ]; then here=1 there=2 device=east; else here=2 there=1 device=west; fi
	ip -n tun-$side link add vx-$side address 02:00:00:0b:07:0$here type vxlan id 7 dstport 4789 local 10.11.6.$here remote 10.11.6.$there dev $device
	ip -n tun-$side link add ii-$side type ipip local 10.11.6.$here remote 10.11.6.$there
	ip -n tun-$side link add gr-$side type gre local 10.11.6.$here remote 10.11.6.$there
	ip -n tun-$side link set $device up
	net=7
	for tunnel in vx ii gr; do
		ip -n tun-$side address add 10.11.$net.$here/24 dev $tunnel-$side
		ip -n tun-$side link set $tunnel-$side addrgenmode none
		ip -n tun-$side link set $tunnel-$side up
		net=$((net + 1))
	done
done
ip -n tun-a neighbour add 10.11.7.2 lladdr 02:00:00:0b:07:02 dev vx-a
ip netns exec tun-b packets sink -read -at 0.0.0.0:7017 >"$OUT.sink" &
sink=$!
await 60 grep -q ready "$OUT.sink"
for net in 7 8 9; do ip netns exec tun-a packets udp -to 10.11.$net.2:7017; done
received tun-b 3
kill $sink
