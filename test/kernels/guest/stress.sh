# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Packets of all kinds at the same time from two CPUs, $PACKETS of them datagrams
# whose length tells them apart: is any journey that of two packets? All are followed; one in $SAMPLE leaves the kernel and is looked at, because printing and
# reading it takes longer than the packet.
# shellcheck source=/dev/null
. /guest/instances.sh
sh -eu /scenario/books-net.sh
in_a() { ip netns exec books-a "$@"; }
in_b() { ip netns exec books-b "$@"; }
echo 4194304 >/proc/sys/net/core/rmem_max

# Of eight ports four are read, two have a listener nowhere, two are dropped.
ip netns exec books-r nft add rule ip filter forward udp dport 7106-7107 counter drop
in_b packets sink -read -buffer 4194304 -ports 4 -at 10.6.2.2:7100 >/run/stress-sink1 &
in_b packets sink -read -buffer 4194304 -ports 4 -at 10.6.3.2:7100 >/run/stress-sink2 &
in_b socat -u TCP-LISTEN:7130,fork OPEN:/dev/null &
await 60 sh -c 'cat /run/stress-sink? | grep -c ready | grep -qx 2'
await 60 ip netns exec books-b sh -c 'ss -ltnH | grep -q :7130'
head -c 262144 /dev/urandom >/run/sent

mkfifo /run/journeys
packets audit -port 7100 -ports 8 -size 200 -out "$OUT/audit.json" </run/journeys >"$OUT/complaints" &
auditor=$!
skbpath --print=json --web.listen-address=127.0.0.1:0 --ready-file=/run/stress.ready "--journey.sample=1/$SAMPLE" \
	"--probe.backend=$BACKEND" "--probe.functions=$FUNCTIONS" "net 10.6.0.0/16 and not arp" >/run/journeys 2>"$OUT/stress.log" &
echo $! >/run/stress.pid
ready stress

begin=$(clock)
in_a packets udp -to 10.6.2.2:7100 -ports 8 -size 200 -lengths 150 -count $((PACKETS / 2)) &
routed=$!
in_a packets udp -to 10.6.3.2:7100 -ports 8 -size 200 -lengths 150 -count $((PACKETS / 2)) &
bridged=$!
(
	while ! test -e /run/enough; do
		in_a socat -u OPEN:/run/sent TCP:10.6.2.2:7130
		for size in 56 256 456 656 856; do
			in_a ping -q -n -c 5 -i 0.002 -s $size 10.6.2.2 >/dev/null
		done
		in_a packets udp -to 10.6.2.2:7010 -count 5 -size 4000
	done
) &
beside=$!
wait $routed
wait $bridged
touch /run/enough
wait $beside
drained books-b
echo "sent in $((($(clock) - begin) / 1000000)) ms"

metrics stress >"$OUT/metrics"
stop stress
wait $auditor
echo "audited after $((($(clock) - begin) / 1000000)) ms"
