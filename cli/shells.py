"""How bash, zsh and fish ask for completions and insert them, also behind `--option=`."""

from __future__ import annotations

from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete, add_completion_class

_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local -a answer plain described
    local kind word help
    answer=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT - 1)) \\
        %(complete_var)s=zsh_complete ${~words[1]} 2>/dev/null)}")
    # Behind --option= the value alone is completed.
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    for kind word help in "${answer[@]}"; do
        case $kind in
            file) _files ;;
            plain) [[ $help == _ ]] && plain+=("$word") || described+=("$word:$help") ;;
        esac
    done
    (( $#described )) && _describe -V %(prog_name)s described
    (( $#plain )) && compadd -V unsorted -a plain
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    set -l word (commandline -ct)
    # Behind --option= the value is completed, and the whole word inserted.
    set -l option (string match -r -- '^--[^=]*=' $word)
    set -l program (string replace -r -- '^~/' $HOME/ (commandline -opc)[1])
    for line in (env COMP_WORDS=(commandline -cp | string collect) COMP_CWORD=$word \\
            %(complete_var)s=fish_complete $program 2>/dev/null)
        set -l answer (string split -m 1 , -- $line)
        if test $answer[1] = file
            set -l value (string replace -r -- '^--[^=]*=' '' "$word")
            printf '%%s\\n' "$option"(complete -C "'' $value")
        else
            printf '%%s\\n' "$option$answer[2]"
        end
    end
end

complete --no-files --keep-order --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class Bash(BashComplete):
    """Bash, to which the sign of `--option=value` is a word of its own."""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        if incomplete == "=" and args:
            return args[:-1], f"{args[-1]}="
        if args[1:] and args[-1] == "=":
            return args[:-2], f"{args[-2]}={incomplete}"
        return args, incomplete


class Zsh(ZshComplete):
    """Zsh, which completes files itself."""

    source_template = _ZSH


class Fish(FishComplete):
    """Fish, which takes whole words only."""

    source_template = _FISH


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def answer_by_these() -> None:
    """Let click answer shells in the form that the scripts of `tilesim completion` expect."""
    for name, shell in SHELLS.items():
        add_completion_class(shell, name)
