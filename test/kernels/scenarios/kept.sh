# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Some of everything: a hundred echoes that are well, ten datagrams that nobody wants, five
# echoes that are slow.
ip netns add kept-a
ip netns add kept-b
ip link add east address 02:00:00:0c:03:01 netns kept-a type veth peer name west address 02:00:00:0c:03:02 netns kept-b
ip -n kept-a address add 10.12.3.1/24 dev east
ip -n kept-b address add 10.12.3.2/24 dev west
ip -n kept-a link set east up
ip -n kept-b link set west up
ip -n kept-a neighbour add 10.12.3.2 lladdr 02:00:00:0c:03:02 dev east
ip -n kept-b neighbour add 10.12.3.1 lladdr 02:00:00:0c:03:01 dev west
# By a socket for echoes alone: beside a raw one the kernel drops the answer, having cloned it.
ip netns exec kept-a sh -c 'echo 0 0 >/proc/sys/net/ipv4/ping_group_range'

ip netns exec kept-a ping -n -c 100 -i 0.05 -W 10 10.12.3.2
ip netns exec kept-a packets udp -to 10.12.3.2:7041 -count 10
ip netns exec kept-a tc qdisc add dev east root netem delay 300ms
ip netns exec kept-a ping -n -c 5 -i 0.2 -W 10 10.12.3.2
