# Sourced by the scripts that measure a Python peer.

# venv NAME REQUIREMENTS sets python to one that has the requirements: that of the
# environment variable PYTHON, or of a venv that is kept between runs, apart from the
# user's own packages.
venv() {
	python=${PYTHON:-}
	[ -z "$python" ] || return 0
	if ! command -v python3 >/dev/null; then
		echo "bench: python3 is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2
		exit 1
	fi
	local dir=${XDG_CACHE_HOME:-$HOME/.cache}/parade/$1
	if ! cmp -s "$2" "$dir/installed.txt"; then
		rm -rf "$dir"
		mkdir -p "$(dirname "$dir")"
		if ! python3 -m venv "$dir"; then
			echo "bench: python3 can't make a venv; on Debian and Ubuntu: apt-get install python3-venv" >&2
			rm -rf "$dir"
			exit 1
		fi
		"$dir/bin/pip" install --quiet --disable-pip-version-check -r "$2"
		cp "$2" "$dir/installed.txt"
	fi
	python=$dir/bin/python
}
