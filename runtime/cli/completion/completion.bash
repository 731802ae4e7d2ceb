# Completion of hypersdk for bash: eval "$(hypersdk completion bash)"
_hypersdk() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("$line")
  done < <("$1" complete bash -- "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null </dev/null)
}
# nosort: in the order of the function's fields, where this bash can (4.4)
complete -o nospace -o nosort -F _hypersdk hypersdk 2>/dev/null ||
  complete -o nospace -F _hypersdk hypersdk
