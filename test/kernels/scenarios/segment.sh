# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# UDP hands five datagrams over as one packet, to a device that cannot cut it.
# Then TCP through a router whose one device merges segments and whose other one
# cannot cut what was merged: from a sender whose packets have pages and from one
# whose packets have none, so that they are merged as a list.
ip netns add cut-a
ip netns add cut-r
ip netns add cut-b
ip link add east address 02:00:00:0b:02:01 netns cut-a type veth peer name left address 02:00:00:0b:02:fe netns cut-r
ip link add west address 02:00:00:0b:03:02 netns cut-b type veth peer name right address 02:00:00:0b:03:fe netns cut-r
ip -n cut-a address add 10.11.2.1/24 dev east
ip -n cut-r address add 10.11.2.254/24 dev left
ip -n cut-r address add 10.11.3.254/24 dev right
ip -n cut-b address add 10.11.3.2/24 dev west
ip netns exec cut-r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
ip netns exec cut-a ethtool -K east tso off tx-udp-segmentation off
ip netns exec cut-r ethtool -K left gro on
ip netns exec cut-r ethtool -K right tso off gso on
ip -n cut-a link set east up
ip -n cut-r link set left up
ip -n cut-r link set right up
ip -n cut-b link set west up
ip -n cut-a neighbour add 10.11.2.254 lladdr 02:00:00:0b:02:fe dev east
ip -n cut-r neighbour add 10.11.2.1 lladdr 02:00:00:0b:02:01 dev left
ip -n cut-r neighbour add 10.11.3.2 lladdr 02:00:00:0b:03:02 dev right
ip -n cut-b neighbour add 10.11.3.254 lladdr 02:00:00:0b:03:fe dev west
ip -n cut-a route add default via 10.11.2.254
ip -n cut-b route add default via 10.11.3.254
ip netns exec cut-r packets sink -read -at 10.11.2.254:7012 >"$OUT.sink" &
sink=$!
ip netns exec cut-b socat -u TCP-LISTEN:7013 OPEN:/dev/null &
server=$!
ip netns exec cut-b socat -u TCP-LISTEN:7020 OPEN:/dev/null &
list=$!
await 60 grep -q ready "$OUT.sink"
await 60 ip netns exec cut-b sh -c 'ss -ltnH | grep -c ":70[12][03]" | grep -qx 2'

ip netns exec cut-a packets udp -to 10.11.2.254:7012 -size 5000 -segment 1000
received cut-r 5
head -c 49152 /dev/zero | ip netns exec cut-a socat -u - TCP:10.11.3.2:7013
wait $server
ip netns exec cut-a ethtool -K east sg off
head -c 49152 /dev/zero | ip netns exec cut-a socat -u - TCP:10.11.3.2:7020
wait $list
kill $sink
