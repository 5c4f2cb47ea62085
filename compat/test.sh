#!/bin/sh
# All tests; arguments go to pytest. Sets up what it needs in .venv. As root on Debian it also installs Postfix, which
# is not started, and compares with it; otherwise those tests are skipped (without root) or fail (without Postfix).
set -eu
cd "$(dirname "$0")/.."
. compat/environment.sh

# The packages' services stay off: the tests start Postfix themselves, in namespaces.
install_postfix() {
    missing=
    while read -r package _; do
        case $package in '' | '#'*) continue ;; esac
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done <tests/sidebyside/packages.txt
    [ -n "$missing" ] || return 0
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections || true
    policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then
        policy=
    else
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    # shellcheck disable=SC2086
    apt_install $missing || say "not all could be installed: $missing"
    [ -z "$policy" ] || rm -f $policy
}

if is_root && has apt-get && has dpkg-query; then
    install_postfix
fi
environment test
"$python" -m pytest -n 2 --dist loadgroup "$@"
