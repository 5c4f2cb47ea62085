#!/bin/sh
# Three messages through the delivery agent, to be watched. Sets up what it needs in .venv; needs neither root nor Postfix.
set -eu
cd "$(dirname "$0")/.."
. compat/environment.sh
environment ""
"$python" -m compat.demo "$@"
