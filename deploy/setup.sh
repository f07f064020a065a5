#!/bin/bash
# Makes this machine able to build, test and show Baton: checks it, installs the Debian packages that are missing, the
# npm packages and bpffs, and builds. Changes nothing where nothing is missing, and then takes well under a second.
# Called as `setup.sh demo|test|bench` by `npm run demo`, `npm test` and `npm run bench`: the tests also need the servers
# that Baton is tested with, and try to get a browser; the benchmarks need what it is measured against. Everything it says
# goes to stderr: stdout is theirs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec 1>&2

say() { printf 'setup: %s\n' "$*"; }
stop() {
  printf 'setup: %s\n' "$*"
  exit 1
}

# The same as minimumKernel in src/cli/doctor/kernel.ts (a test compares them).
minimum_kernel=5.10
minimum_node=20.19

# at_least VERSION MINIMUM: by major and minor number.
at_least() {
  local major minor least_major least_minor
  IFS=. read -r major minor _ <<<"$1"
  IFS=. read -r least_major least_minor _ <<<"$2"
  minor=${minor%%[!0-9]*}
  ((major > least_major || (major == least_major && ${minor:-0} >= least_minor)))
}

# --- Can this machine do it at all? ---------------------------------------------------------------------------------

[[ $(uname -s) == Linux ]] || stop "Baton needs Linux: it moves TCP connections with TCP_REPAIR and eBPF."
((EUID == 0)) || stop "Baton needs root: TCP_REPAIR, eBPF and network namespaces are not for other users (try sudo)."
kernel=$(uname -r)
at_least "$kernel" "$minimum_kernel" || stop "Baton needs Linux $minimum_kernel or newer for its eBPF programs; this is $kernel."

# need_capability BIT NAME: in the effective set of this process.
capabilities=$((16#$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)))
need_capability() {
  ((capabilities >> $1 & 1)) || stop "This root lacks $2, as in a container with reduced rights; Baton cannot work here."
}
need_capability 12 CAP_NET_ADMIN
need_capability 13 CAP_NET_RAW
need_capability 21 CAP_SYS_ADMIN
need_capability 39 CAP_BPF

unshare --net true 2>/dev/null || stop "This kernel or container forbids network namespaces (CONFIG_NET_NS); Baton's hosts are made of them."
[[ -e /proc/sys/kernel/unprivileged_bpf_disabled ]] || stop "This kernel has no bpf() system call (CONFIG_BPF_SYSCALL)."
if [[ ! -c /dev/net/tun ]]; then
  modprobe tun 2>/dev/null || true
  [[ -c /dev/net/tun ]] || stop "/dev/net/tun is missing (CONFIG_TUN, modprobe tun); packets of a frozen connection are parked there."
fi
if [[ -r /proc/config.gz ]]; then
  options=$(zcat /proc/config.gz)
elif [[ -r /boot/config-$kernel ]]; then
  options=$(<"/boot/config-$kernel")
else
  options=""
fi
if [[ -n $options ]]; then
  for option in BPF_SYSCALL NET_NS NET_SCH_INGRESS NET_CLS_BPF TUN VETH BRIDGE; do
    [[ $options =~ CONFIG_$option=[ym] ]] || stop "This kernel was built without CONFIG_$option, which Baton needs."
  done
fi

# --- Node -----------------------------------------------------------------------------------------------------------

command -v node >/dev/null || stop "Baton needs Node $minimum_node or newer, and npm."
command -v npm >/dev/null || stop "Baton needs npm, which comes with Node."
node_version=$(node --version)
at_least "${node_version#v}" "$minimum_node" || stop "Baton needs Node $minimum_node or newer; this is $node_version."

# One at a time: two of these would meet in node_modules.
mkdir -p dist
exec 9>dist/.setup.lock
flock -n 9 || {
  say "waiting for another set-up of this folder"
  flock 9
}

# --- Debian packages --------------------------------------------------------------------------------------------------

# What is looked for (a command or a file) | package | why.
wanted="
make|make|builds the native addon
g++|g++|builds the native addon
python3|python3|node-gyp is written in it
clang|clang|compiles the eBPF programs
/usr/include/bpf/libbpf.h|libbpf-dev|loads the eBPF programs
/usr/include/linux/bpf.h|linux-libc-dev|declares what the kernel offers
ip|iproute2|makes the hosts of the lab
tc|iproute2|makes the hosts of the lab
ss|iproute2|makes the hosts of the lab
nft|nftables|loses packets on purpose in the tests
nsenter|util-linux|runs programs on the hosts of the lab
setpriv|util-linux|runs programs on the hosts of the lab
curl|curl|is the client of the demo and the tests
nginx|nginx-light|is an application of the demo and the tests that knows nothing of Baton
sysctl|procps|carries out what the doctor advises, in the tests
openssl|openssl|makes certificates for the tests
tcpdump|tcpdump|looks at the wire in the tests
redis-server|redis-server|is the registry of the demo and the tests
"
if [[ ${1-} == test ]]; then
  wanted+="
apache2|apache2-bin|is an application of the tests that knows nothing of Baton
haproxy|haproxy|is an application of the tests that knows nothing of Baton, and a balancer in front of it
javac|default-jdk-headless|runs an application of the tests that knows nothing of Baton
go|golang-go|builds an application of the tests that knows nothing of Baton
redis-cli|redis-tools|is a client of the tests
pg_ctlcluster|postgresql|is an application of the tests, in a protocol that nobody here reads
"
fi
if [[ ${1-} == bench ]]; then
  wanted+="
haproxy|haproxy|is measured beside Baton
nginx|nginx-light|is measured beside Baton, and is the application that everybody is measured with
wrk|wrk|is the client of some benchmarks
strace|strace|counts system calls in the benchmarks
"
fi
missing=()
while IFS='|' read -r probe package why; do
  [[ -n $probe ]] || continue
  if [[ $probe == /* ]]; then [[ -e $probe ]] && continue; else command -v "$probe" >/dev/null && continue; fi
  [[ " ${missing[*]-} " == *" $package "* ]] && continue
  say "missing: $package ($why)"
  missing+=("$package")
done <<<"$wanted"

# The standing policy-rc.d, put aside while ours keeps the packages from starting their services.
policy=/usr/sbin/policy-rc.d
restore_policy() {
  if [[ -e $policy.before-baton ]]; then mv -f "$policy.before-baton" "$policy"; else rm -f "$policy"; fi
}
# install_packages PACKAGE…: returns 1, after apt-get's own words, where that fails.
install_packages() {
  local done=0
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  say "apt-get update"
  if ! apt-get -o DPkg::Lock::Timeout=120 update >"$log" 2>&1; then
    cat "$log"
    say "apt-get update failed (see above)."
    done=1
  else
    [[ -e $policy && ! -e $policy.before-baton ]] && mv "$policy" "$policy.before-baton"
    trap 'restore_policy; rm -f "$log"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    say "apt-get install $*"
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@" \
      >"$log" 2>&1 </dev/null || {
      cat "$log"
      say "apt-get install failed (see above)."
      done=1
    }
    restore_policy
  fi
  rm -f "$log"
  trap - EXIT
  return "$done"
}

if ((${#missing[@]} > 0)); then
  command -v apt-get >/dev/null || stop "Install what is missing (${missing[*]}) with this system's package manager; only Debian's is known here."
  install_packages "${missing[@]}" || exit 1
  # The lab starts its own servers; the machine's services were not asked for, so no reboot starts them either.
  for service in redis-server:redis-server haproxy:haproxy nginx-light:nginx postgresql:postgresql; do
    [[ " ${missing[*]} " == *" ${service%:*} "* ]] && command -v systemctl >/dev/null || continue
    systemctl disable "${service#*:}" >/dev/null 2>&1 || say "the service ${service#*:} stays enabled: systemctl said no"
  done
fi

# A browser is 100 MB and not to be had everywhere: one attempt for each checkout; without it a test is skipped and says so.
without=dist/.without-chromium
if [[ ${1-} == test && ! -e $without ]] && ! command -v chromium >/dev/null; then
  say "missing: chromium (is a client of the tests, which can do without)"
  if ! command -v apt-get >/dev/null || ! install_packages chromium; then
    say "its test will be skipped; remove $without to try again"
    : >"$without"
  fi
fi

# --- npm packages -----------------------------------------------------------------------------------------------------

# The lock file from which node_modules was made; npm's own, newer than ours, stands for it where somebody ran npm.
stamp=node_modules/.baton-package-lock.json
if [[ ! -e $stamp && node_modules/.package-lock.json -nt package-lock.json ]]; then cp package-lock.json "$stamp"; fi
if ! cmp -s package-lock.json "$stamp"; then
  say "npm ci"
  # An error is shown even under `npm run --silent`. Without scripts: npm would build the addon here, and build.mjs again.
  npm ci --ignore-scripts --loglevel=error --no-audit --no-fund || stop "npm ci failed (see above)."
  cp package-lock.json "$stamp"
fi

# --- bpffs, build, proof ----------------------------------------------------------------------------------------------

if ! mountpoint -q /sys/fs/bpf; then
  say "mount bpffs on /sys/fs/bpf"
  mount -t bpf bpf /sys/fs/bpf || stop "/sys/fs/bpf cannot be mounted; pinned steering lives there."
fi
node deploy/build.mjs

# Once for each kernel and addon: freeze a connection, load the steering program, look at the rest.
proof="$kernel $(stat -c %Y build/Release/baton.node)"
if [[ ! -e dist/.proof || $(<dist/.proof) != "$proof" ]]; then
  say "trying TCP_REPAIR and eBPF on this kernel"
  node --input-type=module -e "
    import { runDoctor } from './dist/src/cli/doctor/index.js'
    process.exitCode = await runDoctor({ json: false })
  " >dist/.doctor || {
    cat dist/.doctor
    stop "This machine cannot run Baton as it is: the table says what to do."
  }
  printf '%s' "$proof" >dist/.proof
fi
