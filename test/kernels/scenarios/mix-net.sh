# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The network that mix.sh sends through: mix-a and mix-b, a VLAN between them too.
ip netns add mix-a
ip netns add mix-b
ip link add east netns mix-a type veth peer name west netns mix-b
ip -n mix-a link add link east name east.5 type vlan id 5
ip -n mix-b link add link west name west.5 type vlan id 5
ip -n mix-a address add 10.3.0.1/24 dev east
for host in 2 3 4 5 6 7 8 9; do
	ip -n mix-b address add 10.3.0.$host/24 dev west
done
ip -n mix-a address add fd00:3::1/64 dev east nodad
ip -n mix-b address add fd00:3::2/64 dev west nodad
ip -n mix-a address add 10.3.5.1/24 dev east.5
ip -n mix-b address add 10.3.5.2/24 dev west.5
ip -n mix-a link set east.5 addrgenmode none
ip -n mix-b link set west.5 addrgenmode none
for device in east east.5; do ip -n mix-a link set $device up; done
for device in west west.5; do ip -n mix-b link set $device up; done
