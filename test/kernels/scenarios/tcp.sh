# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A TCP connection that carries 1 MiB.
ip netns add tcp-a
ip netns add tcp-b
ip link add east netns tcp-a type veth peer name west netns tcp-b
ip -n tcp-a address add 10.1.5.1/24 dev east
ip -n tcp-b address add 10.1.5.2/24 dev west
ip -n tcp-a link set east up
ip -n tcp-b link set west up

head -c 1048576 /dev/urandom >/run/sent
ip netns exec tcp-b socat -u TCP-LISTEN:5000 CREATE:/run/received &
receiver=$!
await 60 ip netns exec tcp-b sh -c 'ss -ltnH | grep -q :5000'
ip netns exec tcp-a socat -u OPEN:/run/sent TCP:10.1.5.2:5000
wait $receiver
cmp /run/sent /run/received
