# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# IPv4: a router cuts a datagram for a link that is narrower, which its sender allows.
ip netns add narrow-a
ip netns add narrow-r
ip netns add narrow-b
ip link add east address 02:00:00:0b:0c:01 netns narrow-a type veth peer name left address 02:00:00:0b:0c:fe netns narrow-r
ip link add west address 02:00:00:0b:0d:02 netns narrow-b type veth peer name right address 02:00:00:0b:0d:fe netns narrow-r
ip -n narrow-a address add 10.11.12.1/24 dev east
ip -n narrow-r address add 10.11.12.254/24 dev left
ip -n narrow-r address add 10.11.13.254/24 dev right
ip -n narrow-b address add 10.11.13.2/24 dev west
ip netns exec narrow-r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
ip netns exec narrow-a sh -c 'echo 1 >/proc/sys/net/ipv4/ip_no_pmtu_disc' # sockets do not set DF
ip -n narrow-a link set east up
ip -n narrow-r link set left up
ip -n narrow-r link set right mtu 1300 up
ip -n narrow-b link set west up
ip -n narrow-a neighbour add 10.11.12.254 lladdr 02:00:00:0b:0c:fe dev east
ip -n narrow-r neighbour add 10.11.13.2 lladdr 02:00:00:0b:0d:02 dev right
ip -n narrow-a route add default via 10.11.12.254
ip netns exec narrow-b packets sink -read -at 10.11.13.2:7023 >"$OUT.sink" &
sink=$!
await 60 grep -q ready "$OUT.sink"
ip netns exec narrow-a packets udp -to 10.11.13.2:7023 -size 1400
received narrow-b 1
kill $sink
