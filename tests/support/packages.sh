# The Debian packages that tests/run and tests/bench/run share; sourced by both. `need` notes what is missing,
# `install_missing` installs it, as root, or says what it would have installed.

missing=()
# need PACKAGE COMMAND...: the package, unless the command succeeds.
need() { local package=$1; shift; "$@" >/dev/null 2>&1 || missing+=("$package"); }
has_initdb() { compgen -G '/usr/lib/postgresql/*/bin/initdb'; }

need build-essential sh -c 'command -v cc && command -v c++ && command -v make'
need cmake command -v cmake
need pkg-config command -v pkg-config
need openssl command -v openssl
need python3-venv python3 -c 'import ensurepip, venv'
# mysqlclient, the reference project's MySQL driver, comes from PyPI as source.
need python3-dev python3 -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
need libmariadb-dev command -v mariadb_config
need postgresql has_initdb
need mariadb-server command -v mariadbd
# For the faults and the deployment files only; never their services.
need pgbouncer command -v pgbouncer
need nginx command -v nginx
need caddy command -v caddy
need curl command -v curl
# For the files of deploy/ only: a machine that systemd boots, the image's sandbox, promtool (never Prometheus itself),
# docker-compose's reading of its file (there is no engine), the manual page.
need systemd-container command -v systemd-nspawn
need bubblewrap command -v bwrap
need prometheus command -v promtool
need docker-compose command -v docker-compose
need groff-base command -v groff

# For the page and the importers of examples/.
need chromium command -v chromium
need chromium-driver command -v chromedriver
need nodejs command -v node

install_missing() {
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    # The servers are for the tests to start, each in its own directory: RUNLEVEL keeps the packages from it, and
    # where they do not ask for that, Debian's policy-rc.d.
    (
      export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
      policy=/usr/sbin/policy-rc.d
      if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
      fi
      apt-get update -qq </dev/null
      apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
    )
  else
    echo "missing, and only root can install them: ${missing[*]}"
  fi
}
