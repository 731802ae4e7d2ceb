# Completion of hypersdk for fish: hypersdk completion fish > ~/.config/fish/completions/hypersdk.fish
function __hypersdk_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor | string unescape; or echo)
    $words[1] complete fish -- $words[2..-1] "$current" 2>/dev/null </dev/null
end
complete --command hypersdk --no-files --keep-order --arguments '(__hypersdk_complete)'
