# SPDX-License-Identifier: Apache-2.0
#
# Runs in the guest: real packets, four skbpaths, Jaeger and Prometheus. What
# they say goes to $OUT; whether it is right is for backends_test.go to judge.
#
#   early-grpc, early-http  start before Jaeger, so that their traces must wait
#   grpc, http              start after it, and are scraped by Prometheus

JAEGER=http://127.0.0.1:16686
PROMETHEUS=http://127.0.0.1:9090

# within SECONDS COMMAND…: tries until it succeeds.
within() {
	deadline=$(($(clock) / 1000000000 + $1))
	shift
	until "$@"; do
		if [ $(($(clock) / 1000000000)) -ge "$deadline" ]; then
			echo "not in time: $*"
			return 1
		fi
		usleep 200000
	done
}

# mark WHAT: notes how long that took, counted from the mark before.
mark() {
	now=$(clock)
	echo "$1: $(((now - since) / 1000000)) ms" | tee -a "$OUT/times"
	since=$now
}
since=$(clock)

get() { wget -q -T 10 -O - "$@" 2>/dev/null; }
answers() { get "$1" >/dev/null; }
listens() { nc -z 127.0.0.1 "$1"; }

# --- packets ---------------------------------------------------------------

# Addresses are known to both sides, for no packet to wait for ARP.
network() {
	ip netns add a
	ip netns add b
	ip link add va netns a address 02:00:00:00:00:01 type veth peer name vb netns b address 02:00:00:00:00:02
	for side in a:1:2 b:2:1; do
		ns=${side%%:*} own=${side#*:} own=${own%:*} other=${side##*:}
		ip -n "$ns" link set lo up
		ip -n "$ns" address add "10.0.0.$own/24" dev "v$ns"
		ip -n "$ns" link set "v$ns" up
		ip -n "$ns" neighbour replace "10.0.0.$other" lladdr "02:00:00:00:00:0$other" dev "v$ns" nud permanent
	done
}

forbid_pings() {
	ip netns exec b nft -f - <<-'NFT'
		table ip filter {
			chain input {
				type filter hook input priority filter; policy accept;
				icmp type echo-request drop
			}
		}
	NFT
}

arriving() { ip netns exec a ping -q -c "$1" -i 0.2 -W 10 10.0.0.2; }

dropped() {
	if ip netns exec a ping -q -c "$1" -i 0.2 -W 1 10.0.0.2; then
		echo "a ping arrived that should not"
		return 1
	fi
}

# --- skbpath ---------------------------------------------------------------

# start NAME PORT PROTOCOL ENDPOINT: NAME is that of the service.
start() {
	OTEL_SERVICE_NAME=$1 OTEL_EXPORTER_OTLP_PROTOCOL=$3 OTEL_EXPORTER_OTLP_ENDPOINT=$4 \
		skbpath --print=json --web.listen-address="127.0.0.1:$2" --ready-file="/tmp/$1.ready" \
		'icmp and net 10.0.0.0/24' >"$OUT/$1.jsonl" 2>"$OUT/$1.log" &
	echo $! >"/tmp/$1.pid"
}

attached() { test -e "/tmp/$1.ready"; }
retries() { grep -q 'OTLP endpoint does not answer' "$OUT/$1.log"; }

stop() {
	code=0
	kill -TERM "$(cat "/tmp/$1.pid")"
	wait "$(cat "/tmp/$1.pid")" || code=$?
	echo $code >"$OUT/$1.exit"
}

# --- backends --------------------------------------------------------------

# has_traces SERVICE COUNT: keeps what Jaeger says.
has_traces() {
	get "$JAEGER/api/traces?service=$1&limit=100" >"$OUT/$1.traces.json" || return 1
	[ "$(grep -o '"spans":\[' "$OUT/$1.traces.json" | wc -l)" -ge "$2" ]
}

query() { get --post-data "query=$1" "$PROMETHEUS/api/v1/query"; }
counts() { [ "$(query "$1" | grep -o "\"$2\"\]" | wc -l)" = 2 ]; } # once for each skbpath

DROPS='skbpath_dropped_packets_total{reason="NETFILTER_DROP"}'

# queries: name and expression, one a line.
queries() {
	cat <<-PROMQL
		up up
		scrape scrape_duration_seconds
		drops sum by (job, reason, function, protocol, interface) ($DROPS)
		drops_added sum by (job) (max_over_time($DROPS[10m]) - min_over_time($DROPS[10m]))
		drops_increase sum by (job) (increase($DROPS[10m]))
		drops_rate sum by (job) (rate($DROPS[10m]))
		journeys skbpath_journeys_total
		calls skbpath_function_calls_total{function="icmp_rcv"}
		buckets count by (job) (skbpath_function_duration_seconds_bucket{function="icmp_rcv"})
		durations skbpath_function_duration_seconds_count{function="icmp_rcv"}
		quantile histogram_quantile(0.9, sum by (job, le) (skbpath_function_duration_seconds_bucket{function="icmp_rcv"}))
		lost sum by (job, what, cause) (skbpath_lost_total) > 0
		build skbpath_build_info
	PROMQL
}

ask_prometheus() {
	queries | while read -r name expression; do
		query "$expression" >"$OUT/$name.query.json"
	done
	get "$PROMETHEUS/api/v1/targets" >"$OUT/targets.json"
}

# --- what happens ----------------------------------------------------------

network
prometheus --config.file=/etc/prometheus.yml --storage.tsdb.path=/tmp/prometheus \
	--web.listen-address=127.0.0.1:9090 >"$OUT/prometheus.log" 2>&1 &
within 60 answers "$PROMETHEUS/-/ready"
mark 'Prometheus is ready'

start early-grpc 10197 grpc http://127.0.0.1:4317
start early-http 10196 http/protobuf http://127.0.0.1:4318
within 60 attached early-grpc
within 60 attached early-http
mark 'two skbpaths are attached'
arriving 1
within 60 retries early-grpc
within 60 retries early-http
mark 'both try again to reach Jaeger'

jaeger --config file:/etc/jaeger.yaml >"$OUT/jaeger.log" 2>&1 &
within 100 answers "$JAEGER/api/services"
within 20 listens 4317
within 20 listens 4318
mark 'Jaeger is ready'
within 60 has_traces early-grpc 2
within 60 has_traces early-http 2
mark 'the early traces are there'
stop early-grpc
stop early-http

start grpc 10199 grpc http://127.0.0.1:4317
start http 10198 http/protobuf http://127.0.0.1:4318
within 60 attached grpc
within 60 attached http
mark 'two more skbpaths are attached'
within 60 counts up 1
mark 'Prometheus scrapes them'
arriving 3
forbid_pings
dropped 3
within 60 counts "sum by (job) ($DROPS)" 3
mark 'Prometheus has three drops'
dropped 5
within 60 counts "sum by (job) ($DROPS)" 8
mark 'Prometheus has eight drops'
within 60 has_traces grpc 14
within 60 has_traces http 14
mark 'Jaeger has all traces'
ask_prometheus
get http://127.0.0.1:10199/metrics >"$OUT/metrics.txt"
mark 'Prometheus has answered'
free -m | tee -a "$OUT/times"
stop grpc
stop http
