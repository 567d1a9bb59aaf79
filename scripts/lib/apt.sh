# Installs Debian packages: waits for apt's locks, shows progress, and on failure names the package and the fix.
# shellcheck shell=bash
. "$FOVEA_ROOT/scripts/lib/progress.sh"
system_root=${FOVEA_SYSTEM_ROOT:-}  # the tests of these scripts put a folder of their own here
apt_wait_s=${FOVEA_APT_WAIT_S:-900}
check_seconds FOVEA_APT_WAIT_S "$apt_wait_s"
apt_lock_files=(/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock)

# missing_packages KIND…: the packages of these kinds in packages.txt that are not installed. A command in the third
# column stands for its package, wherever it came from.
missing_packages() {
  local wanted
  wanted=$(awk -v kinds=" $* " '!/^#/ && NF >= 2 && index(kinds, " " $1 " ") { print $2, $3 }' \
    "$FOVEA_ROOT/scripts/packages.txt" | sort -u | while read -r package command; do
    [ -n "$command" ] && command -v "$command" >/dev/null || echo "$package"; done)
  # shellcheck disable=SC2086
  { dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null || true; } | awk -v wanted="$wanted" '
    $1 == "installed" { there[$2] = 1 }
    END { count = split(wanted, name, "\n"); for (i = 1; i <= count; i++) if (!(name[i] in there)) print name[i] }'
}

# os_release KEY: its value, which may be in quotes or not.
os_release() { sed -nE "s/^$1=([\"']?)(.*)\1\$/\2/p" "$system_root/etc/os-release" 2>/dev/null; }

warn_unless_debian_12() {
  local name
  if [ "$(os_release ID) $(os_release VERSION_ID)" = "debian 12" ]; then return 0; fi
  name=$(os_release PRETTY_NAME) || name=
  say "warning: this is ${name:-unknown}; Fovea is built and tested on Debian 12 (bookworm)."
  say "         Elsewhere packages may have other names or versions, and the build may fail."
}

# Prints "PID FILE" of a process that holds one of apt's locks; fails if nobody does.
apt_lock_holder() {
  local file major minor inode pid
  for file in "${apt_lock_files[@]/#/$system_root}"; do
    read -r major minor inode < <(stat -c '%Hd %Ld %i' "$file" 2>/dev/null) || continue
    # An overlay file system shows another device number in /proc/locks than stat does.
    if [ "$(stat -f -c %T "$file")" = overlayfs ]; then major=; else printf -v major '%02x:%02x' "$major" "$minor"; fi
    pid=$(awk -v device="$major" -v inode="$inode" '$2 == "POSIX" {
      split($6, id, ":")
      if (id[3] == inode && (device == "" || id[1] ":" id[2] == device)) { print $5; exit } }' /proc/locks)
    if [ -n "$pid" ]; then echo "$pid $file"; return 0; fi
  done
  return 1
}

# apt's own waiting covers the lock of dpkg only: "apt-get update" gives up at once when another update runs.
wait_for_apt_locks() {
  local start=$SECONDS holder pid file name
  while holder=$(apt_lock_holder); do
    read -r pid file <<<"$holder"
    name=$(cat "/proc/$pid/comm" 2>/dev/null) || name="a process outside this container"
    if ((SECONDS >= apt_deadline)); then
      progress_clear
      fail "$name (process $pid) has held $file for more than $(duration "$apt_wait_s")"
      say "see what it does with: ps -fp $pid; when it has ended, run this script again"
      return 1
    fi
    if [ -z "${apt_wait_said:-}" ]; then
      say "apt is in use by $name (process $pid), which holds $file: waiting, at most $(duration "$apt_wait_s")"
      apt_wait_said=yes
      progress_begin
    fi
    progress_show "waiting for $name (process $pid), $(duration $((SECONDS - start))) so far"
    if [ -d "/proc/$pid" ] && [ "$pid" -gt 0 ]; then timeout 2 tail --pid="$pid" -f /dev/null || true; else sleep 2; fi
  done
  progress_clear
}

classify_apt() {
  if [[ $1 =~ ^dlstatus:[^:]*:([0-9.]+):(.*)$ ]]; then
    apt_doing="downloading packages"
    [[ ! ${BASH_REMATCH[2]} =~ [0-9]+\ of\ [0-9]+ ]] || apt_doing+=", ${BASH_REMATCH[0]}"
  elif [[ $1 =~ ^pmstatus:.*:([0-9]+)[0-9.]*:.*$ ]]; then apt_doing="installing packages, ${BASH_REMATCH[1]} %"
  elif [[ $1 =~ 'held by process '([0-9]+)' ('(.*)')' ]]; then
    apt_doing="waiting for ${BASH_REMATCH[2]} (process ${BASH_REMATCH[1]}) to release apt's lock"
  else return 2; fi
}

render_apt() { echo "$apt_doing, $(duration $((SECONDS - apt_start)))"; }

# run_apt LOG WORD…: apt-get as root, again when another process was quicker to take a lock.
run_apt() {
  local log=$1 status; shift
  apt_doing="reading package lists"
  while :; do
    wait_for_apt_locks || return 75
    apt_start=$SECONDS status=0
    : >"$log"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -o APT::Status-Fd=1 \
      -o "DPkg::Lock::Timeout=$((apt_deadline > SECONDS ? apt_deadline - SECONDS : 1))" "$@" </dev/null 2>&1 |
      progress_filter "$log" classify_apt render_apt || status=$?
    if [ "$status" -eq 0 ] || ! grep -q '^E: Could not get lock' "$log" || ((SECONDS >= apt_deadline)); then break; fi
    sleep 1
  done
  return "$status"
}

# Prints, one space apart, the names that a sed script finds in the logs.
apt_names() { sed -nE "$1" "${apt_logs[@]}" | sort -u | paste -sd ' '; }

# apt_fault SED MESSAGE FIX: if the script finds anything, says so; NAMES stands for what it found.
apt_fault() {
  local names
  names=$(apt_names "$1")
  [ -n "$names" ] || return 0
  apt_fault_found=yes
  fail "${2//NAMES/"$names"}"
  say "fix: ${3//NAMES/"$names"}"
}

# explain_apt LOG…: says which package failed and what to do, for the failures that people meet.
explain_apt() {
  local apt_logs=("$@") apt_fault_found='' again="run this script again"
  local archive="deb http://deb.debian.org/debian bookworm main"
  local offline="Temporary failure resolving|Could not resolve|Could not connect to|Unable to connect to"
  offline+="|Connection failed|Cannot initiate the connection to|Connection timed out|Network is unreachable"
  apt_fault "s/^E: Unable to locate package (.*)/\1/p; s/^E: Package '?([^' ]+)'? has no installation candidate/\1/p" \
    "apt finds no package NAMES" "have Debian 12's archive in /etc/apt/sources.list ($archive)"
  apt_fault "s/.*($offline).*/\1/p" "the package archive cannot be reached (NAMES); not installed: ${missing[*]}" \
    "check the network, the name server and, if there is one, the proxy (Acquire::http::Proxy in /etc/apt/apt.conf.d)"
  apt_fault '/^E: Failed to fetch .*404/s/.*\/([^\/_]+)_[^\/]*\.deb.*/\1/p' \
    "the archive no longer has this version of NAMES" \
    "wait until the mirror is up to date, or use deb.debian.org; $again"
  apt_fault '/^The following packages have unmet dependencies/,/^E:/{s/^ ([^ :]+)(:[^ ]+)? : .*/\1/p}' \
    "dependencies of NAMES cannot be met" \
    "apt-get --fix-broken install; if that is not enough: apt-mark showhold; apt-cache policy NAMES"
  apt_fault '/^Errors were encountered while processing:/,/^E:/{s/^ (.*)/\1/p}' \
    "dpkg could not install NAMES" "dpkg --configure -a, then $again"
  apt_fault 's/.*(dpkg was interrupted).*/\1/p' "an earlier installation was interrupted: NAMES" \
    "as root: dpkg --configure -a; then $again"
  apt_fault "s/.*(No space left on device|don't have enough free space).*/\1/p" "the disk is full (NAMES)" \
    "apt-get clean, or make room in /var/cache/apt/archives and /usr"
  apt_fault 's/.*Release file for (.*) is not valid yet.*/\1/p' "this machine's clock is behind that of NAMES" \
    "set the clock, then $again"
  apt_fault 's/^sudo: (.*)/\1/p; /^.* is not in the sudoers file|^Sorry, user .* (is not allowed|may not run)/p' \
    "sudo refused: NAMES" "$(as_root_command)"
  if [ -z "$apt_fault_found" ]; then
    apt_fault '/^E: Failed to fetch/s/.*\/([^\/_]+)_[^\/]*\.deb.*/\1/p' "NAMES could not be downloaded" "$again"
    { grep -hE '^(E|W): ' "${apt_logs[@]}" || tail -n 5 "${apt_logs[-1]}"; } >&2
  fi
  say "the whole log: ${apt_logs[*]}"
}

# Prints "DOWNLOAD INSTALLED" in MB for the packages, with all they depend on; nothing if apt cannot tell.
apt_sizes_mb() {
  local versions
  versions=$(LC_ALL=C apt-get install --simulate --no-install-recommends -o Debug::NoLocking=1 "$@" 2>/dev/null |
    sed -nE 's/^Inst ([^ ]+) (\[[^]]*\] )?\(([^ ]+) .*/\1=\3/p') || return 0
  [ -n "$versions" ] || return 0
  # shellcheck disable=SC2086
  LC_ALL=C apt-cache show --no-all-versions $versions 2>/dev/null | awk '
    /^Size: / { bytes += $2 }
    /^Installed-Size: / { kilobytes += $2 }
    END { if (bytes) printf "%d %d\n", bytes / 1000000 + 1, kilobytes / 1000 + 1 }'
}

# The command that installs what is missing, for people who are root elsewhere.
as_root_command() { echo "as root: apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"; }

# Asks for sudo's password while no progress line is on the terminal, which would wipe the question away.
ask_sudo() {
  [ ${#as_root[@]} -gt 0 ] || return 0
  sudo -v && return 0
  fail "sudo refused"
  say "fix: $(as_root_command)"
  return 1
}

# install_packages PACKAGE…: installs these packages, which are missing.
install_packages() {
  local missing=("$@") log status
  say "missing: ${missing[*]}"
  as_root=()
  if ! command -v apt-get >/dev/null; then
    fail "there is no apt-get here; Fovea needs what these Debian packages hold: ${missing[*]}"
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      fail "packages are missing, and this is neither root nor is there sudo"
      say "$(as_root_command)"
      return 1
    fi
    as_root=(sudo)
  fi
  make_build_folder || return 1
  log=$(mktemp -d "$FOVEA_ROOT/build/apt-XXXXXX") || return 1
  ask_sudo || return 1
  apt_deadline=$((SECONDS + apt_wait_s))
  # An archive of somebody else's that cannot be read is no reason to stop: what matters is whether the packages come.
  status=0
  run_apt "$log/update.log" update || status=$?
  [ "$status" -ne 75 ] || return 1
  [ "$status" -eq 0 ] || say "apt-get update ended with an error; trying with the package lists that are there"
  check_package_space "${missing[@]}" || return 1
  ask_sudo || return 1
  status=0
  run_apt "$log/install.log" install -y --no-install-recommends "${missing[@]}" || status=$?
  if [ "$status" -ne 0 ]; then explain_apt "$log/update.log" "$log/install.log"; return "$status"; fi
  rm -r "$log"
}
