/** What each shell runs at its start. All of them ask `banksman completion --line`. */
export const scripts = {
  // Bash takes a colon as the end of a word, so that only what stands behind it may be answered.
  bash: `_banksman() {
  local line="\${COMP_LINE:0:COMP_POINT}" word start="" each
  word="\${line##*[[:space:]]}"
  if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then start="\${word%:*}:"; fi
  COMPREPLY=()
  while IFS= read -r each; do
    case $each in */ | *:) compopt -o nospace ;; esac
    COMPREPLY+=("\${each#"$start"}")
  done < <(banksman completion --line "$line" 2>/dev/null)
}
complete -o default -F _banksman banksman`,
  zsh: `_banksman() {
  local -a whole part
  local each
  for each in "\${(@f)$(banksman completion --line "\${LBUFFER}" 2>/dev/null)}"; do
    case $each in '') ;; */ | *:) part+=("$each") ;; *) whole+=("$each") ;; esac
  done
  (( \${#part} )) && compadd -S '' -- "\${part[@]}"
  (( \${#whole} )) && compadd -- "\${whole[@]}"
  (( \${#part} + \${#whole} )) || _files
}
compdef _banksman banksman`,
  fish: `complete --command banksman --no-files --arguments '(banksman completion --line (commandline --cut-at-cursor | string collect) 2>/dev/null)'`,
} as const;
