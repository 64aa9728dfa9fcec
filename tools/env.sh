# Sourced by tools/demo and tools/test: what hud needs of a machine that has nothing but Debian.
#
#   ensure_python        a Python >= 3.10 in $ROOT/.venv with hud and what it runs with
#   ensure_python dev    and what its tests run with
#
# The caller sets ROOT (the project) first. One line per step that does something, on stderr.

# The lowest Python that hud runs on.
PYTHON_NEEDED="3, 10"

say() {
  echo "${0##*/}: $*" >&2
}

ensure_python() {
  local extra=${1:-} python
  if ! venv_works; then
    find_python /usr/bin/python3 || install_python || find_python python3 || no_python
    say "making $ROOT/.venv with $("$python" --version)"
    rm -rf "$ROOT/.venv"
    "$python" -m venv "$ROOT/.venv"
  fi
  install_dependencies "$extra"
}

# True when .venv holds a Python that starts, is new enough, and still finds its own packages
# (which it does not after an upgrade of the Python it was made from, or when it is half made).
venv_works() {
  "$ROOT/.venv/bin/python" -c \
    "import sys, pip; sys.exit(sys.version_info < ($PYTHON_NEEDED) or sys.prefix == sys.base_prefix)" \
    2>/dev/null
}

# find_python PATH: sets $python to it if it is new enough and can make a venv; else false.
find_python() {
  python=$1
  "$python" -c "import ensurepip, sys, venv; sys.exit(sys.version_info < ($PYTHON_NEEDED))" 2>/dev/null
}

# The system's Python rather than one that lies in somebody's home: hud drops to users that could not
# read it there.
install_python() {
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
  if [ -x /usr/bin/python3 ] &&
    ! /usr/bin/python3 -c "import sys; sys.exit(sys.version_info < ($PYTHON_NEEDED))"; then
    return 1 # too old, and so is what apt has
  fi
  apt_install python3 python3-venv
  find_python /usr/bin/python3
}

no_python() {
  say "Python >= ${PYTHON_NEEDED/, /.} with its venv module is needed; install it, or run as root on Debian"
  exit 4
}

# apt_install PACKAGE...: quietly; what apt says is shown only if it does not succeed.
apt_install() {
  say "installing $* with apt-get"
  local words
  words=$(mktemp)
  if ! { apt_get update && apt_get install --no-install-recommends "$@"; } >"$words" 2>&1; then
    cat "$words" >&2
    rm -f "$words"
    say "apt-get could not install $*"
    exit 4
  fi
  rm -f "$words"
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=120 "$@"
}

# Again only when pyproject.toml has changed since.
install_dependencies() {
  local extra=$1 stamp wanted
  stamp="$ROOT/.venv/installed${extra:+-$extra}"
  wanted="$ROOT $(sha256sum <"$ROOT/pyproject.toml")"
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  say "installing hud's Python packages${extra:+ and those for $extra} in $ROOT/.venv"
  "$ROOT/.venv/bin/python" -m pip --quiet --disable-pip-version-check \
    install --editable "$ROOT${extra:+[$extra]}"
  echo "$wanted" >"$stamp"
  if [ -n "${SUDO_UID:-}" ] && [ "$(id -u)" = 0 ]; then
    chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$ROOT/.venv"
  fi
}
