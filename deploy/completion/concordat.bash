# Completion of `concordat` for bash: put this file into /usr/share/bash-completion/completions/
# under the name `concordat`. The words come from the installed command itself.
command -v concordat >/dev/null 2>&1 && source <(concordat completion bash)
