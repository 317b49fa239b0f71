"""Does every target of the papers' tables and figures run, and write what it should?

    python scripts/smoke.py RESULTS MAKE [KEY=VALUE ...] -- TARGET ...

`make -n TARGET KEY=VALUE ...` says which commands a target consists of; they are called here, one after the other in one
process, because starting Python costs more than most of them on small images. Exit status 1 if a command fails, a file
is missing, or a table has a cell that was not run.
"""

import contextlib
import csv
import io
import re
import runpy
import shlex
import subprocess
import sys
import time
import traceback
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra

from bench.choices import CONF
from bench.cli import command

REFUSED = {"rollout", "generic_attention"}  # of an atlas, by a network that is no transformer
TABLE, PICTURE = ("md", "csv", "tex"), ("png", "pdf")


def main(arguments: list[str]) -> int:
    """Exit status."""
    split = arguments.index("--")
    (results, *make), targets = arguments[:split], arguments[split + 1 :]
    failed = 0
    for target in targets:
        start, said = time.monotonic(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            codes = [call(command) for command in commands(recipe(make, target))]
        wrong = [f"exit status {code}" for code in codes if code] + ([] if codes else ["no command"])
        wrong += lacking(Path(results) / "report", target)
        print(f"{target:20} {time.monotonic() - start:5.1f} s  {'; '.join(wrong) or 'ok'}", flush=True)
        if wrong:
            print(said.getvalue()[-3000:])
            failed += 1
    print(f"{len(targets) - failed} of {len(targets)} targets write what they should.")
    return min(failed, 1)


def recipe(make: list[str], target: str) -> str:
    """What make would hand to the shell."""
    return subprocess.run([*make, "-n", target], capture_output=True, text=True, check=True).stdout


def commands(text: str) -> list[list[str]]:
    """What of a recipe Python is called with: [["-m", "bench.run", "experiment=la_fig6", ...], ...]; not its set-up."""
    lexer = shlex.shlex(text.replace("\\\n", " ").replace("\n", ";"), posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set(";&|"):
            found.append([])
        else:
            found[-1].append(word)
    return [words[1:] for words in found if re.search(r"python[\d.]* (-m bench|scripts/)", " ".join(words[:3]))]


def call(command: list[str]) -> int:
    """As `python COMMAND` does, in this process. Returns its exit status."""
    GlobalHydra.instance().clear()
    was, code = sys.argv, None
    try:
        if command[0] == "-m":
            sys.argv = command[1:]
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = command
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
    except Exception:  # the other targets are still to be tried
        traceback.print_exc()
        code = 1
    finally:
        sys.argv = was
    return code if isinstance(code, int) else int(code is not None)


def lacking(folder: Path, target: str) -> list[str]:
    """What a target should have written and has not: a table if it is an experiment, a picture unless it is a table."""
    name = target.replace("-", "_")
    experiment = (CONF / "experiment" / f"{name}.yaml").exists()
    endings = [*(TABLE if experiment else ()), *(() if "table" in name else PICTURE)]
    files = [folder / f"{name}.{ending}" for ending in endings]
    wrong = [f"no {file.name}" for file in files if not file.exists() or not file.stat().st_size]
    if experiment and not wrong:
        with (folder / f"{name}.csv").open() as file:
            lines = [line for line in csv.DictReader(file) if line["confidence"] == "all"]
        empty = {line["row"] for line in lines if not int(line["n"]) or int(line["failed"])}
        empty -= REFUSED if name == "atlas" else set()
        wrong += [f"not run: {', '.join(sorted(empty))}"] if empty or not lines else []
    return wrong


if __name__ == "__main__":
    command(__doc__, main)
