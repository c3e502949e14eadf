# Runs the phases of a derivation, or its buildCommand in their place.
set -o pipefail
umask 022
export HOME="$NIX_BUILD_TOP"

for file in ${passAsFile-}; do
  pathVar="${file}Path"
  declare "$file=$(cat "${!pathVar}")"
done

runPhase() {
  if [ -n "${!1-}" ]; then
    eval "${!1}"
  elif declare -F "$1" >/dev/null; then
    "$1"
  fi
}

unpackPhase() {
  [ -n "${src-}" ] || return 0
  if [ -d "$src" ]; then
    cp -R --no-preserve=ownership "$src" source
    chmod -R u+w source
    cd source
  else
    tar -xf "$src"
    cd */
  fi
}

if [ -n "${buildCommand-}" ]; then
  eval "$buildCommand"
else
  for phase in ${phases-unpackPhase patchPhase configurePhase buildPhase checkPhase installPhase fixupPhase}; do
    runPhase "$phase"
  done
fi
