# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The network that drops.sh and its siblings send through: drops-a, a router
# drops-r, and drops-b. Neighbours are known, so that nothing waits for ARP.
ip netns add drops-a
ip netns add drops-r
ip netns add drops-b
ip link add d-east address 02:00:00:04:01:01 netns drops-a type veth peer name d-left address 02:00:00:04:01:fe netns drops-r
ip link add d-west address 02:00:00:04:02:02 netns drops-b type veth peer name d-right address 02:00:00:04:02:fe netns drops-r
ip -n drops-a address add 10.4.1.1/24 dev d-east
ip -n drops-r address add 10.4.1.254/24 dev d-left
ip -n drops-r address add 10.4.2.254/24 dev d-right
ip -n drops-b address add 10.4.2.2/24 dev d-west
ip -n drops-a address add fd00:4:1::1/64 dev d-east nodad
ip -n drops-r address add fd00:4:1::fe/64 dev d-left nodad
ip -n drops-r address add fd00:4:2::fe/64 dev d-right nodad
ip -n drops-b address add fd00:4:2::2/64 dev d-west nodad
ip netns exec drops-r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip -n drops-a link set d-east up
ip -n drops-r link set d-left up
ip -n drops-r link set d-right up
ip -n drops-b link set d-west up
ip -n drops-a neighbour add 10.4.1.254 lladdr 02:00:00:04:01:fe dev d-east
ip -n drops-r neighbour add 10.4.1.1 lladdr 02:00:00:04:01:01 dev d-left
ip -n drops-r neighbour add 10.4.2.2 lladdr 02:00:00:04:02:02 dev d-right
ip -n drops-b neighbour add 10.4.2.254 lladdr 02:00:00:04:02:fe dev d-west
ip -n drops-a neighbour add fd00:4:1::fe lladdr 02:00:00:04:01:fe dev d-east
ip -n drops-r neighbour add fd00:4:2::2 lladdr 02:00:00:04:02:02 dev d-right
ip -n drops-a route add default via 10.4.1.254
ip -n drops-b route add default via 10.4.2.254
ip -n drops-a route add default via fd00:4:1::fe
ip -n drops-b route add default via fd00:4:2::fe
