"""heatproof completion bash|zsh|fish: prints a script that completes commands and the choices of today.

eval "$(heatproof completion bash)"                                             in ~/.bashrc
eval "$(heatproof completion zsh)"                                              in ~/.zshrc, after compinit
heatproof completion fish > ~/.config/fish/completions/heatproof.fish
"""

from pathlib import Path

from bench.choices import files
from bench.cli import command
from bench.errors import UserError
from heatproof.__main__ import there
from heatproof.catalogue import GROUPS

TEMPLATES = Path(__file__).with_name("templates")
SHELLS = ("bash", "zsh", "fish")


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        raise UserError(f"heatproof completion takes one of {', '.join(SHELLS)}.")
    print(script(arguments[0]), end="")


def script(shell: str) -> str:
    words = {"commands": [*there()], "lists": [*GROUPS], "choices": choices()}
    text = (TEMPLATES / f"completion.{shell}.txt").read_text(encoding="utf-8")
    for key, each in words.items():
        text = text.replace(f"@{key}@", " ".join(each))
    return text


def choices() -> list[str]:
    """'method=la' and so on; of metrics, which come as a list, '[unified]'."""
    return [
        f"{group}=[{n}]" if group == "metric" else f"{group}={n}" for group in GROUPS.values() for n in files(group)
    ]


if __name__ == "__main__":
    command(__doc__, main)
