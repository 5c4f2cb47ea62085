# Read by demo.sh and test.sh in the top directory of a checkout: makes the virtual environment .venv and installs the
# project into it, editable. Nothing else is needed than a POSIX shell and Python 3.11; what is missing comes from PyPI
# or, on Debian, from apt.

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
quietly() {
    if ! quietly_output=$("$@" 2>&1 </dev/null); then
        say "failed: $*"
        say "$quietly_output"
        return 1
    fi
}
is_root() { [ "$(id -u)" = 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }

apt_install() {
    has apt-get || return 1
    say "installing with apt: $*"
    quietly env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" 2>/dev/null && return
    quietly apt-get -qq update || return 1
    quietly env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"
}

# Prints an interpreter that is new enough.
find_python() {
    for candidate in python3 python3.11 python3.12 python3.13 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

# Where the tree, or the environment that somebody else made in it, cannot be written, a copy is used instead.
work_in_a_copy_if_needed() {
    { [ -w . ] && { [ ! -e .venv ] || [ -w .venv ]; }; } && return
    copy=$(mktemp -d "${TMPDIR:-/tmp}/postfix-smtp-copy.XXXXXX")
    trap 'rm -rf "$copy"' EXIT
    say "$(pwd) cannot be written; working in $copy"
    tar -cf - --exclude ./.venv --exclude ./.git . | (cd "$copy" && tar -xf -)
    cd "$copy"
}

# Debian splits ensurepip from python3. Root may install it; others take pip's wheel out of the package.
pip_from_debian() {
    has apt-get && has dpkg-deb || return 1
    private=$(mktemp -d "${TMPDIR:-/tmp}/postfix-smtp-apt.XXXXXX")
    mkdir -p "$private/lists/partial" "$private/cache/archives/partial" "$private/debs"
    say "fetching pip with apt"
    # shellcheck disable=SC2086
    options="-qq -o Dir::State::Lists=$private/lists -o Dir::Cache=$private/cache"
    quietly apt-get $options update &&
        (cd "$private/debs" && quietly apt-get $options download python3-pip-whl) &&
        quietly dpkg-deb -x "$private"/debs/python3-pip-whl*.deb "$private/tree" &&
        for wheel in "$private"/tree/usr/share/python-wheels/pip-*.whl; do
            quietly .venv/bin/python "$wheel/pip" install --no-index "$wheel"
        done
    outcome=$?
    rm -rf "$private"
    return $outcome
}

make_venv() {
    rm -rf .venv
    "$base" -m venv .venv >/dev/null 2>&1 && return
    rm -rf .venv
    if "$base" -m venv --without-pip .venv >/dev/null 2>&1; then
        # pip can install into another environment since 22.3
        if "$base" -m pip --python .venv/bin/python --version >/dev/null 2>&1; then
            quietly "$base" -m pip --python .venv/bin/python install pip && return
        fi
        is_root || { pip_from_debian && return; }
    fi
    if is_root && apt_install python3-venv ca-certificates; then
        rm -rf .venv
        quietly "$base" -m venv .venv && return
    fi
    die "no pip: install Python's venv module with ensurepip (Debian: apt-get install python3-venv)"
}

is_ready() {
    python=$(pwd)/.venv/bin/python
    # An editable installation follows the sources; what can change are the dependencies, and the place.
    state="$(pwd) $(cat setup.cfg pyproject.toml | cksum)"
    for mark in ".venv/installed${extra:+-$extra}" .venv/installed-test; do
        [ "$(cat "$mark" 2>/dev/null)" = "$state" ] && "$python" -c '' 2>/dev/null && return
    done
    return 1
}

# There is no wheel of python-ldap. Root builds it for the tests; others do without, and tests of ldap are skipped.
build_ldap() {
    is_root && has apt-get || return 0
    "$python" -c 'import ldap' 2>/dev/null && return
    packages='gcc libc6-dev libldap-dev libsasl2-dev'
    headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    # A directory python3.11 means a package python3.11-dev.
    [ -e "$headers/Python.h" ] || packages="$packages ${headers##*/}-dev"
    # shellcheck disable=SC2086
    apt_install $packages && quietly "$python" -m pip install --disable-pip-version-check -e '.[ldap]' ||
        say "python-ldap cannot be built: tests of ldap are skipped"
}

# environment EXTRA: afterwards $python is the interpreter to use. EXTRA may be empty.
environment() {
    extra=$1
    make_environment
    [ "$extra" != test ] || build_ldap
}

make_environment() {
    is_ready && return
    work_in_a_copy_if_needed
    is_ready && return
    if ! base=$(find_python); then
        is_root && apt_install python3 python3-venv ca-certificates
        base=$(find_python) || die "Python 3.11 or later is needed"
    fi
    { [ -x "$python" ] && "$python" -m pip --version >/dev/null 2>&1; } || make_venv
    say "installing into $(pwd)/.venv"
    quietly "$python" -m pip install --disable-pip-version-check --no-warn-script-location -e ".${extra:+[$extra]}" ||
        die "the installation failed"
    is_ready || printf '%s\n' "$state" >".venv/installed${extra:+-$extra}"
}
