#!/bin/bash
# Makes halt.tsv with GNU parallel 20221122 (Debian 12): for each --halt and list of exit
# values, how many of the jobs, one at a time, it ran.
set -u
cd "$(dirname "$0")" || exit 1
hundred="$(printf '1 %.0s' {1..100})"
for exits in "0 0 0 0" "1 1 1 1" "1 0 1 0 1 1" "0 1 0 2" "0 0 1 1 0 1 0 1" "$hundred"; do
	for halt in never 0 1 2 -1 -2 5% 50% 0% soon,fail=0 soon,fail=1 now,fail=2 soon,fail=3 soon,fail=50% now,fail=34% \
		soon,success=0 now,success=1 soon,success=2 soon,success=50% now,success=100% \
		soon,done=0 soon,done=1 now,done=3 soon,done=7% soon,done=50% now,done=51% soon,done=200% now,fail=1,x soon=2; do
		log=$(mktemp)
		parallel -j1 --joblog "$log" --halt "$halt" 'exit {}' ::: $exits 2>/dev/null
		printf '%s\t%s\t%d\n' "$halt" "${exits% }" "$(($(wc -l <"$log") - 1))"
		rm "$log"
	done
done >halt.tsv
