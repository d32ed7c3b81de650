# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in a workload's container: with whatever there is, one connection, in the same words.

PRIVATE to the collection. Everything that comes from an inventory is an argument of these texts and never a part of
them; what is sent comes as octal numbers, the one form that every shell's C(printf) knows. Their lines are read by
M(_probe/answer) alone:

C(shell sh), C(tool NAME), C(name ADDRESS...) (none where it does not resolve), C(port open|closed|late),
C(bytes HEX...), C(end open|closed), C(status CODE), C(curl CODE), C(connected SECONDS).
"""

from __future__ import annotations

__all__ = ["BASH", "PYTHON", "SHELL"]

# Arguments: host, port, what is sent, seconds to wait. For every Python 3.
PYTHON = r"""
import binascii, socket, sys, time
host, port, request, seconds = sys.argv[1:5]
def say(*words):
    print(" ".join(words))
    sys.stdout.flush()
say("tool", "python3")
try:
    found = socket.getaddrinfo(host, int(port), 0, socket.SOCK_STREAM)
except socket.gaierror:
    say("name")
    sys.exit()
say("name", *[item[4][0] for item in found][:16])
try:
    way = socket.create_connection((host, int(port)), float(seconds))
except socket.timeout:
    say("port", "late")
    sys.exit()
except OSError:
    say("port", "closed")
    sys.exit()
say("port", "open")
end, got, wait, until = "open", 0, float(seconds), time.time() + 2 * float(seconds)
try:
    way.sendall(bytes(bytearray(int(number, 8) for number in request.split("\\")[1:])))
    while got < 1024 and time.time() < until:
        way.settimeout(wait)
        part = way.recv(512)
        if not part:
            end = "closed"
            break
        say("bytes", binascii.hexlify(part).decode())
        got, wait = got + len(part), 0.5
except socket.timeout:
    pass
except OSError:
    end = "closed"
say("end", end)
"""

# The same arguments. Needs timeout, dd and od beside it; the connection itself is bounded by who calls.
BASH = r"""
host=$1 port=$2 request=$3 seconds=$4
echo "tool bash"
{ exec 3<>"/dev/tcp/$host/$port"; } 2>/dev/null || { echo "port closed"; exit; }
echo "port open"
printf "$request" >&3 2>/dev/null
set -o pipefail
end=open wait=$seconds count=0
while [ $count -lt 6 ]; do
  part=$(timeout "$wait" dd bs=512 count=1 <&3 2>/dev/null | od -An -v -tx1)
  code=$?
  if [ -z "$part" ]; then
    case $code in 124|143) ;; *) end=closed ;; esac
    break
  fi
  echo bytes $part
  wait=1 count=$((count + 1))
done
echo "end $end"
"""

# Arguments: the two texts above, host, port, what is sent, seconds to wait, and of a request by HTTP its path.
SHELL = r"""
python=$1 bash=$2 host=$3 port=$4 request=$5 seconds=$6 path=$7
echo "shell sh"
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
has() { command -v "$1" >/dev/null 2>&1; }
if has python3; then
  exec python3 -c "$python" "$host" "$port" "$request" "$seconds"
fi
if has getent; then
  found=$(getent ahosts "$host" 2>/dev/null)
  case $? in
    0) echo "$found" | while read -r address rest; do echo "name $address"; done ;;
    2) echo "name"; exit ;;
  esac
fi
if [ -n "$path" ] && has curl; then
  echo "tool curl"
  curl -q --silent --globoff --path-as-is --noproxy '*' --max-time "$seconds" --output /dev/null \
    --write-out 'status %{http_code}\nconnected %{time_connect}\n' "http://$host:$port$path"
  echo "curl $?"
  exit
fi
if has bash && has timeout && has dd && has od; then
  exec bash -c "$bash" bash "$host" "$port" "$request" "$seconds"
fi
if has nc && has od && has sleep && has date && has head; then
  echo "tool nc"
  begun=$(date +%s)
  { printf "$request"; sleep "$seconds"; } | {
    nc -w "$seconds" "$host" "$port" 2>/dev/null | head -c 1024 | od -An -v -tx1 |
      while read -r line; do echo "bytes $line"; done
    if [ $(($(date +%s) - begun)) -ge "$seconds" ]; then echo "end open"; else echo "end closed"; fi
  }
  exit
fi
if [ -n "$path" ] && has wget; then
  echo "tool wget"
  once=
  if wget --version >/dev/null 2>&1; then once="--tries=1 --no-proxy --max-redirect=0"; fi
  wget $once -S -O /dev/null -T "$seconds" "http://$host:$port$path" 2>&1 |
    while read -r word code rest; do
      case $word in HTTP/*) echo "status $code"; break ;; esac
    done
  exit
fi
echo "tool none"
"""
