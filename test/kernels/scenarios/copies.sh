# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# One packet becomes several: a bridge that does not know where to, a multicast,
# a mirror, a tap.
ip netns add copy-a
ip netns add copy-br
ip netns add copy-b
in_a() { ip netns exec copy-a "$@"; }
up() { # NAMESPACE DEVICE
	ip -n "copy-$1" link set "$2" addrgenmode none
	ip -n "copy-$1" link set "$2" up
}
ip -n copy-br link add br0 type bridge mcast_snooping 0
ip link add east address 02:00:00:0b:04:01 netns copy-a type veth peer name inner netns copy-br
ip -n copy-br link set inner master br0
for n in 1 2 3; do
	ip link add port$n netns copy-br type veth peer name far$n netns copy-b
	ip -n copy-br link set port$n master br0
	up br port$n
	up b far$n
done
up br inner
up br br0
ip -n copy-a address add 10.11.4.1/24 dev east
up a east
ip -n copy-a neighbour add 10.11.4.2 lladdr 02:00:00:0b:04:02 dev east
ip -n copy-a route add 239.0.0.0/8 dev east
in_a packets udp -to 10.11.4.2:7014
in_a packets udp -to 239.11.4.1:7015

# A mirror and a tap at another device, behind which somebody listens.
ip link add left address 02:00:00:0b:05:01 netns copy-a type veth peer name right address 02:00:00:0b:05:02 netns copy-b
ip -n copy-a link add mirror type dummy
ip -n copy-a address add 10.11.5.1/24 dev left
ip -n copy-b address add 10.11.5.2/24 dev right
up a left
up a mirror
up b right
ip -n copy-a neighbour add 10.11.5.2 lladdr 02:00:00:0b:05:02 dev left
in_a tc qdisc add dev left clsact
in_a tc filter add dev left egress protocol ip flower ip_proto udp dst_port 7016 action mirred egress mirror dev mirror
ip netns exec copy-b packets sink -read -ports 2 -at 10.11.5.2:7016 >"$OUT.sink" &
sink=$!
in_a packets tap -device left -count 2 >"$OUT.tap-out" &
out=$!
ip netns exec copy-b packets tap -device right -count 2 >"$OUT.tap-in" &
in=$!
await 60 sh -c "cat '$OUT.sink' '$OUT.tap-out' '$OUT.tap-in' | grep -c ready | grep -qx 3"
in_a packets udp -to 10.11.5.2:7016 -ports 2 -count 2
wait $out $in
received copy-b 2
kill $sink
