# shellcheck shell=bash disable=SC2034,SC2154
# BigQuery: bqemulator on DuckDB, REST on the first port and gRPC on the second, all in memory.
ports=(24450 24451)
# Every one of these: newer versions of DuckDB want to download the extension, and bqemulator does not say that it needs numpy.
version="bqemulator==1.4.0 duckdb==1.5.5 duckdb-extension-spatial==1.5.5 numpy==2.4.6"

missing() {
  local advice="Get Python 3.11 or newer with venv, on Debian by: apt-get install python3 python3-venv"
  if ! command -v python3 >/dev/null; then
    need python3 "$advice"
  elif ! python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "python3 on this machine is too old or has no venv. $advice"
  fi
}

install_program() {
  local pins
  read -r -a pins <<<"$version"
  pip_install "${pins[@]}"
  put_extension_in_place
}

# Where DuckDB looks for the extension before it tries to download it.
put_extension_in_place() {
  "$program/python/bin/python" - "$program/home" <<'PYTHON'
import importlib.util, pathlib, shutil, sys
import duckdb

(platform,) = duckdb.sql("PRAGMA platform").fetchone()
package = pathlib.Path(importlib.util.find_spec("duckdb_extension_spatial").submodule_search_locations[0])
for extension in package.glob("extensions/*/spatial.duckdb_extension"):
    target = pathlib.Path(sys.argv[1], ".duckdb", "extensions", extension.parent.name, platform)
    target.mkdir(parents=True)
    shutil.copy(extension, target)
PYTHON
}

serve() {
  HOME="$program/home" TMPDIR="$data" exec "$program/python/bin/bqemulator" start --rest-host 127.0.0.1 --rest-port "${ports[0]}" \
    --grpc-host 127.0.0.1 --grpc-port "${ports[1]}" --ephemeral --project test-project --log-level warning
}

probe() {
  answers_http "${ports[0]}" /readyz && answers_tcp "${ports[1]}"
}
