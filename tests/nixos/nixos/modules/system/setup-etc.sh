# setup-etc.sh TREE: makes the links in /etc that TREE describes, and removes
# those of the system before.
set -u
tree=$1
record=/etc/.clean
failed=0

ln -sfn "$tree/etc" /etc/static

# put FILE: FILE, relative to /etc, becomes a link to /etc/static/FILE.
put() {
  if [ -d "/etc/$1" ] && [ ! -L "/etc/$1" ]; then
    echo "warning: /etc/$1 exists already and is a directory" >&2
    failed=1
    return
  fi
  [ "$(readlink "/etc/$1")" = "/etc/static/$1" ] && return
  mkdir -p "$(dirname "/etc/$1")"
  ln -sfT "/etc/static/$1" "/etc/$1.tmp" && mv -fT "/etc/$1.tmp" "/etc/$1" || failed=1
}

# copy FILE MODE USER GROUP: a file of its own, for programs that want one.
copy() {
  mkdir -p "$(dirname "/etc/$1")"
  cp "/etc/static/$1" "/etc/$1.tmp" &&
    chown -- "$3:$4" "/etc/$1.tmp" &&
    chmod "$2" "/etc/$1.tmp" &&
    mv -fT "/etc/$1.tmp" "/etc/$1" || failed=1
}

# Units are read from the system itself (see host.nix), and /etc/systemd/system
# stays the host's.
cd "$tree/etc" || exit 1
mapfile -t wanted < <(find . -type l ! -path './systemd/system' -printf '%P\n')
mapfile -t copied < <(cut -f1 "$tree/copied")

declare -A keep=()
for file in "${wanted[@]}"; do keep[$file]=1; done

if [ -f "$record" ]; then
  while IFS= read -r file; do
    [ -n "${keep[$file]-}" ] || rm -f "/etc/$file"
  done < "$record"
fi

declare -A isCopied=()
for file in "${copied[@]}"; do isCopied[$file]=1; done
for file in "${wanted[@]}"; do
  [ -n "${isCopied[$file]-}" ] || put "$file"
done
while IFS=$'\t' read -r file mode user group; do
  if [ "$mode" = direct-symlink ]; then
    ln -sfn "$(readlink "$tree/etc/$file")" "/etc/$file"
  else
    copy "$file" "$mode" "${user#+}" "${group#+}"
  fi
done < "$tree/copied"

printf '%s\n' "${wanted[@]}" > "$record.tmp" && mv -f "$record.tmp" "$record"
exit $failed
