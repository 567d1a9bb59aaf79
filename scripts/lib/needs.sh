# What a first run needs of a machine, said before it begins, and refused where the disk is too small.
# shellcheck shell=bash
# Upper bounds. Packages: what apt says on an empty Debian 12; the build: what `scripts/bench build` measures.
packages_download_mb=400 packages_installed_mb=1650  # kinds build and demo; the others add what apt says
build_demo_core_s=480 build_all_core_s=720
build_demo_mb=450 build_all_mb=650

# size MB: "850 MB", "1.6 GB".
size() { awk -v mb="$1" 'BEGIN { if (mb < 1000) printf "%d MB", mb; else printf "%.1f GB", mb / 1000 }'; }

# need_space MB FOLDER WHAT: notes what will be written to a folder; it need not exist yet.
space_notes=()
need_space() { space_notes+=("$1|$3|$2"); }

# check_space: compares everything noted with what is free, disk by disk. An error names folders and what is missing.
check_space() {
  local note mb folder what existing free mount
  local -A wanted_mb=() free_mb=() names=()
  local failed=0
  for note in "${space_notes[@]}"; do
    IFS='|' read -r mb what folder <<<"$note"
    existing=$folder
    while [ ! -d "$existing" ]; do existing=$(dirname "$existing"); done
    # The mount point is the last column, and may hold blanks.
    read -r free mount < <(df -k --output=avail,target -- "$existing" 2>/dev/null | tail -n 1) || continue
    if [[ ! $free =~ ^[0-9]{1,15}$ || -z $mount ]]; then
      say "warning: df does not say how much is free in $existing"
      continue
    fi
    free=$((free * 1024 / 1000000))
    wanted_mb[$mount]=$((${wanted_mb[$mount]:-0} + mb))
    free_mb[$mount]=$free
    names[$mount]+="${names[$mount]:+, }$folder ($what: $(size "$mb"))"
  done
  space_notes=()
  for mount in "${!wanted_mb[@]}"; do
    if ((wanted_mb[$mount] > free_mb[$mount])); then
      fail "not enough room on the disk of ${names[$mount]}"
      say "$(size "${wanted_mb[$mount]}") needed, $(size "${free_mb[$mount]}") free," \
        "$(size $((wanted_mb[$mount] - free_mb[$mount]))) missing (disk mounted at $mount)"
      failed=1
    fi
  done
  return "$failed"
}

# check_package_space PACKAGE…: with the sizes that apt knows after an update.
check_package_space() {
  local sizes
  sizes=$(apt_sizes_mb "$@")
  [ -n "$sizes" ] || return 0
  say "to download: $(size "${sizes% *}"); on disk afterwards: $(size "${sizes#* }")"
  need_space "${sizes% *}" "$system_root/var/cache/apt/archives" "packages as downloaded"
  need_space "${sizes#* }" "$system_root/usr" "packages as installed"
  check_space
}

# say_needs TARGETS PACKAGE…: what the packages that are missing and the build will take; no TARGETS: everything.
say_needs() {
  local targets=$1 sizes core_s=$build_all_core_s mb=$build_all_mb line lines=() cores minutes; shift
  cores=$(nproc)
  if [ $# -gt 0 ]; then
    sizes=$(apt_sizes_mb "$@")
    sizes=${sizes:-$packages_download_mb $packages_installed_mb}
    lines+=("packages     $# missing: $(size "${sizes% *}") to download, $(size "${sizes#* }") on disk; 2 to 10 min")
    need_space "${sizes% *}" "$system_root/var/cache/apt/archives" "packages as downloaded"
    need_space "${sizes#* }" "$system_root/usr" "packages as installed"
  fi
  case "$FOVEA_PRESET: $targets " in
    'release:  ' | 'ci:  ' | 'debug:  ') ;;
    *' demo_programs '*) core_s=$build_demo_core_s mb=$build_demo_mb ;;
    *) core_s='' ;;
  esac
  if [ -n "$core_s" ] && [ ! -d "$FOVEA_BIN" ]; then
    minutes=$((core_s / cores / 60 + 1))
    lines+=("compiling    about $minutes minutes on $cores cores, $(size "$mb") in build/$FOVEA_PRESET")
    need_space "$mb" "$FOVEA_BUILD" "the build"
  fi
  [ ${#lines[@]} -gt 0 ] || return 0
  printf '%s==> What this needs%s\n' "$FOVEA_BOLD" "$FOVEA_PLAIN" >&2
  for line in "${lines[@]}"; do say "$line"; done
}
