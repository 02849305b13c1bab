/**
 * The shell script that installs the servers on Debian and Ubuntu; runs as root with the wanted kinds (`redis`,
 * `mysql`) as arguments.
 *
 * - One script and not several commands, because the temporary `policy-rc.d` must go away even when the gateway that
 *   asked is killed halfway. That file keeps a fresh package from starting its service on the standard port.
 * - The lock lets a second installation wait, so that it does not lose the first one's `policy-rc.d` under its feet;
 *   `DPkg::Lock::Timeout` does the same for package managers that know nothing of us.
 * - `mariadb-server-core` has mariadbd and mariadb-install-db; the latter calls my_print_defaults, which is in
 *   `mariadb-client-core`. Older releases number these packages, there the whole `mariadb-server` is taken.
 * - `--no-remove`: better no servers than a removed package of the user.
 * - A service that came with the package is disabled, or it would appear after the next reboot. It was not there before.
 */
export const APT_SCRIPT = `
set -u
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
marker='temporary file of the fastpass installation'

exec 9>/run/fastpass-install.lock
flock -w 240 9 || { echo 'another fastpass installation has not ended for 240 seconds'; exit 75; }

if [ ! -e "$policy" ] || grep -q "$marker" "$policy"; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\\n# %s\\nexit 101\\n' "$marker" >"$policy"
  chmod 755 "$policy"
fi

timeout -k 10 180 apt-get -q -o DPkg::Lock::Timeout=120 update 9>&- \\
  || echo 'apt-get update failed; going on with the package lists at hand'

packages=
services=
for kind do
  case "$kind" in
    redis)
      packages="$packages redis-server"
      services="$services redis-server"
      ;;
    mysql)
      if apt-cache show mariadb-server-core >/dev/null 2>&1 && apt-cache show mariadb-client-core >/dev/null 2>&1; then
        packages="$packages mariadb-server-core mariadb-client-core"
      else
        packages="$packages mariadb-server"
        services="$services mariadb"
      fi
      ;;
  esac
done

timeout -k 10 300 apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold \\
  --no-install-recommends --no-remove install $packages 9>&- || exit 1

if command -v systemctl >/dev/null; then
  for service in $services; do
    systemctl disable "$service" 9>&- || echo "could not disable the service $service"
  done
fi
exit 0
`;

/** A little more than the limits inside the script together: 240 s for the lock, 180 s update, 300 s install. */
export const APT_TIMEOUT_MS = 780_000;
