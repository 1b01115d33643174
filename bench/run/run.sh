#!/usr/bin/env bash
# Measures what starting commands costs: N times "true", two at a time, with parade run,
# xargs -P2, GNU parallel and rush in one run. The sides take turns; the times are those
# of the whole process, from its start to its end.
#
#	bench/run/run.sh [ROUNDS [N]]     # 5 rounds of 10000 by default, of about a minute each
#
# GNU parallel and xargs come with the system (apt-get install parallel findutils), rush is
# fetched by go install. What is missing is left out, and said.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-5}
n=${2:-10000}
workers=2
rush_version=v0.9.1

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
CGO_ENABLED=0 go build -o "$tmp/parade" ./cmd/parade
rush=${XDG_CACHE_HOME:-$HOME/.cache}/parade/rush/rush
if [ ! -x "$rush" ]; then
	(cd "$tmp" && GOBIN=$(dirname "$rush") go install "github.com/shenwei356/rush@$rush_version") || true
fi
seq "$n" >"$tmp/inputs"

# The sides: a name and a command, its words divided by ~. GNU parallel and rush give
# each command to a shell, in which "true" is built in; so does parade run --shell.
names=() commands=()
side() {
	if command -v "$2" >/dev/null; then
		names+=("$1")
		shift
		commands+=("$(printf '%s~' "$@")")
	else
		echo "bench: left out: $1 ($2 is missing)" >&2
	fi
}
side "xargs -P" xargs -P$workers -n1 true
side "parade run" "$tmp/parade" run -j$workers true
side "parade run --joblog" "$tmp/parade" run -j$workers --joblog "$tmp/log" true
side "parade run --on processes" "$tmp/parade" run --on processes:$workers true
side "parade run --shell" "$tmp/parade" run -j$workers --shell true
side "GNU parallel" parallel -j$workers true
side "rush" "$rush" -j$workers "true {}"

for round in $(seq "$rounds"); do
	for i in "${!names[@]}"; do
		rm -f "$tmp"/log*
		IFS='~' read -ra words <<<"${commands[$i]}"
		begin=$EPOCHREALTIME
		if ! "${words[@]}" <"$tmp/inputs" >"$tmp/out" 2>"$tmp/err"; then
			echo "bench: ${names[$i]} failed:" >&2
			head -5 "$tmp/err" >&2
			exit 1
		fi
		end=$EPOCHREALTIME
		echo "${names[$i]};$((${end/./} - ${begin/./}))" >>"$tmp/times"
		echo "round $round: ${names[$i]}: $(((${end/./} - ${begin/./}) / 1000)) ms" >&2
	done
done

echo "$n x true, $workers at a time; $(uname -sm), $(getconf _NPROCESSORS_ONLN) CPUs, $(go version | cut -d' ' -f3); $rounds rounds"
xargs --version 2>/dev/null | head -1 || true
parallel --version 2>/dev/null | head -1 || true
if [ -x "$rush" ]; then echo "rush $rush_version"; fi
echo
sort -t';' -k1,1 -k2,2n "$tmp/times" | awk -F';' -v n="$n" '
	function flush() {
		if (!count) return
		median = count % 2 ? t[(count + 1) / 2] : (t[count / 2] + t[count / 2 + 1]) / 2
		name[++sides] = last; mid[sides] = median; low[sides] = t[1]; high[sides] = t[count]
		if (last == "xargs -P") base = median
		count = 0
	}
	$1 != last { flush(); last = $1 }
	{ t[++count] = $2 }
	END {
		flush()
		printf "%-28s %9s %19s %9s %9s\n", "", "median", "lowest..highest", "per task", "xargs = 1"
		for (i = 1; i <= sides; i++)
			printf "%-28s %7.2f s %9.2f..%6.2f s %6.2f ms %9s\n", name[i], mid[i] / 1e6, low[i] / 1e6, high[i] / 1e6, mid[i] / 1e3 / n, base ? sprintf("%.2f", mid[i] / base) : "-"
	}'
