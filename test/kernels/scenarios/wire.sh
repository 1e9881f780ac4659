# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Two network cards with a wire between them: what is sent waits in the ring of one
# until its driver frees it, what is received is a new packet, which GRO may merge.
# The timeout lets GRO hold packets until the next come.
plug() { # NAMESPACE DEVICE ADDRESS
	ip netns add "wire-$1"
	ip link set "$2" netns "wire-$1"
	ip -n "wire-$1" link set "$2" addrgenmode none
	ip -n "wire-$1" address add "$3/24" dev "$2"
	ip netns exec "wire-$1" sh -c "cd /sys/class/net/$2; echo 50000000 >gro_flush_timeout; echo 1000 >napi_defer_hard_irqs"
	ip -n "wire-$1" link set "$2" up
}
plug a eth0 10.12.1.1
plug b eth1 10.12.1.2
ip -n wire-a neighbour add 10.12.1.2 lladdr 02:00:00:77:00:02 dev eth0
ip -n wire-b neighbour add 10.12.1.1 lladdr 02:00:00:77:00:01 dev eth1

ip netns exec wire-a ping -n -c 2 -i 0.2 -W 10 10.12.1.2
ip netns exec wire-b socat -u TCP-LISTEN:7041 OPEN:/dev/null &
server=$!
await 60 ip netns exec wire-b sh -c 'ss -ltnH | grep -q :7041'
head -c 32768 /dev/zero | ip netns exec wire-a socat -u - TCP:10.12.1.2:7041
wait $server
# What the rings still hold is freed when something else is sent.
ip netns exec wire-a ping -n -c 1 -W 10 10.12.1.2
