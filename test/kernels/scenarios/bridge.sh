# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Two namespaces on a bridge in a third.
ip netns add bridge-a
ip netns add bridge-b
ip netns add bridge-br
ip -n bridge-br link add br0 type bridge
ip link add east netns bridge-a type veth peer name porta netns bridge-br
ip link add west netns bridge-b type veth peer name portb netns bridge-br
ip -n bridge-br link set porta master br0
ip -n bridge-br link set portb master br0
ip -n bridge-a address add 10.1.8.1/24 dev east
ip -n bridge-b address add 10.1.8.2/24 dev west
ip -n bridge-a link set east up
ip -n bridge-b link set west up
ip -n bridge-br link set porta up
ip -n bridge-br link set portb up
ip -n bridge-br link set br0 up

ip netns exec bridge-a ping -n -c 1 -W 10 10.1.8.2
