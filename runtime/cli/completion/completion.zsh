#compdef hypersdk
# Completion of hypersdk for zsh: eval "$(hypersdk completion zsh)"
_hypersdk() {
  local line
  local -a open open_notes closed closed_notes
  for line in "${(@f)$("${words[1]}" complete zsh -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}"; do
    [[ -n $line ]] || continue
    if [[ ${line%%$'\t'*} == *[=\[] ]]; then
      open+=("${line%%$'\t'*}") open_notes+=("${line/$'\t'/  }")
    else
      closed+=("${line%%$'\t'*}") closed_notes+=("${line/$'\t'/  }")
    fi
  done
  (( $#open )) && compadd -V open -l -S '' -d open_notes -a open
  (( $#closed )) && compadd -V closed -l -d closed_notes -a closed
}
if [[ $funcstack[1] == _hypersdk ]]; then _hypersdk; else compdef _hypersdk hypersdk; fi
