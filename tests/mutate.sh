# What the lists of mutations share; each sources it from the top of the tree:
#
#   . tests/mutate.sh COPY [NAME...]
#
# Works on a copy under build/COPY; with names, makes only those mutations. Then, in this order, `by` says which
# program finds what follows, `mutate` breaks the server once, and `verdict` ends the list: exit code 1 where a
# mutation survived, or no longer fits the source.
root=$PWD
work=$root/build/$1
shift
wanted=" $* "
bin=$work/build/bin
tests=$work/build/tests
survived=()
found=0

export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
# -m: what a broken run has left built is older than everything, and is built again (ccache makes that cheap).
# Two copies: one to break, one to mend it from, whatever happens to the tree meanwhile.
mkdir -p "$work/src" "$work/whole"
tree() { tar -C "$root" --exclude=./build --exclude=./.git -cf - . | tar -C "$1" -xmf -; }
tree "$work/src"
tree "$work/whole"
cmake -S "$work/src" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS=-w \
  >"$work/cmake.log"

# by TARGETS COMMAND...: what finds the mutations that follow.
sound=" "
by() {
  targets=$1
  shift
  command=("$@")
}
build() { nice ninja -C "$work/build" -j2 $targets >"$work/build.log" 2>&1; }
run() { { (cd "$work" && timeout 300 "${command[@]}") >"$work/run.log" 2>&1; } 2>/dev/null; }

# mutate NAME FILE OLD NEW [OLD NEW]...: in FILE, each OLD (found at least once, however its lines are broken)
# becomes NEW everywhere.
mutate() {
  local name=$1 file=$2 result=
  shift 2
  if [[ $wanted != "  " && $wanted != *" $name "* ]]; then return; fi
  if [[ $sound != *" $targets "* ]]; then  # once: without any mutation the test holds
    build || { cat "$work/build.log"; exit 1; }
    run || { cat "$work/run.log"; echo "the tests fail without any mutation: ${command[*]}"; exit 1; }
    sound+="$targets "
  fi
  while (($# > 0)); do
    if ! OLD=$1 NEW=$2 perl -0777 -pi -e \
      '$o = quotemeta $ENV{OLD}; $o =~ s/(\\\s)+/\\s+/g; $n = s/$o/$ENV{NEW}/g; END { $? = $n ? 0 : 1 }' \
      "$work/src/$file"; then
      result="does not fit $file any more: \"$1\""
      break
    fi
    shift 2
  done
  if [[ -n $result ]]; then
    survived+=("$name")
  elif ! build; then
    result="DOES NOT BUILD: $(grep -m1 'error:' "$work/build.log")"
    survived+=("$name")
  elif run; then
    result="SURVIVED"
    survived+=("$name")
  elif (($? == 124)); then
    result="NOT DECIDED: the tests took longer than they may"
    survived+=("$name")
  else
    found=$((found + 1))
    # The test case that failed: others may have said something before it.
    result=$(awk '/^TEST CASE/ { name = $0 } / ERROR: / { print name; exit }' "$work/run.log")
    [[ -n $result ]] || result=$(grep -m1 -E '^seed |^ +[a-z].*(lost|doubled|missing)' "$work/run.log" ||
      tail -1 "$work/run.log")
  fi
  printf '%-28s %s\n' "$name" "${result:0:150}"
  cp "$work/whole/$file" "$work/src/$file"
}

verdict() {
  echo
  echo "$found mutations found, ${#survived[@]} not: ${survived[*]-}"
  ((${#survived[@]} == 0))
}
