#!/bin/bash
# Makes joblog.log, a joblog of GNU parallel 20221122 (Debian 12) with all that such a
# log can hold. Times differ from run to run; everything else does not.
set -u
cd "$(dirname "$0")" || exit 1
rm -f joblog.log
run() { parallel -j1 --joblog +joblog.log "$@"; } # + appends, without another header
parallel -j1 --joblog joblog.log 'printf {}; exit {#}' ::: one two
run 'printf {}' ::: 'x y' "it's" '"' 'back\slash' '$HOME' '' 'ünï' $'tab\there'
run -0 'printf %s {}' ::: $'two\nlines' $'\xff\xfe'
run --timeout 0.2 'sleep {}' ::: 5
run 'kill -{} $$' ::: 9 15
run 'no-such-command {}' ::: x
run --retries 2 'false {}' ::: x
run 'seq {}' ::: 1000
run $'echo first\necho\tsecond {}' ::: x
