# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's command line: `python -m tests.lab build|build-tool|up|down|status|exec|env`."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from . import lifecycle
from .build import TOOLS, build, build_tool
from .errors import LabError
from .prerequisites import require
from .procfs import memory_mib
from .settings import Settings, load_settings
from .supervision import Supervisor


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return _do(arguments, load_settings())
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; the same command again goes on from here", file=sys.stderr)
        return 130


def _do(arguments: argparse.Namespace, settings: Settings) -> int:
    match arguments.command:
        case "build":
            build(settings, _say)
        case "build-tool":
            build_tool(settings, arguments.tool, _say)
        case "up":
            require()
            lifecycle.up(settings, _say)
        case "down":
            require()
            lifecycle.down(settings, _say)
        case "status":
            return _status(settings)
        case "exec":
            return _exec(settings, arguments.pod, arguments.argv)
        case "env":
            _env(settings)
    return 0


def _status(settings: Settings) -> int:
    if not settings.state.exists():
        print(f"lab {settings.name} is down")
        return 1
    supervisor = Supervisor(settings)
    states = supervisor.states() if supervisor.alive() else []
    for state in states:
        print(f"{state.name:<45} {memory_mib(state.pid):>5} MiB  {state.text}")
    whole = lifecycle.is_up(settings)
    print(f"lab {settings.name} is {'up' if whole else 'not whole: run `make lab-up`'}; logs are in {settings.logs}")
    return 0 if whole else 1


def _exec(settings: Settings, pod: str, argv: list[str]) -> int:
    netns = lifecycle.running(settings).find_host(pod).netns
    os.execvp("ip", ["ip", "netns", "exec", netns, *argv])


def _env(settings: Settings) -> None:
    lifecycle.running(settings)
    programs = lifecycle.programs_of_running(settings)
    print(f"export KUBECONFIG={shlex.quote(str(settings.kubeconfig))}")
    print(f"export PATH={shlex.quote(str(programs))}:$PATH")


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab", description="Istio meshes as plain processes on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("build", help="build the programs, once a machine")
    tool = commands.add_parser("build-tool", help="build a program that tests use beside the lab, once a machine")
    tool.add_argument("tool", choices=sorted(TOOLS))
    commands.add_parser("up", help="start the lab; does nothing when it is up")
    commands.add_parser("down", help="stop the lab and remove all of it")
    commands.add_parser("status", help="say what runs; exit code 0 when all of it does")
    run = commands.add_parser("exec", help="run a command in a pod's or machine's network: exec POD -- COMMAND ...")
    run.add_argument("pod", help="a pod, CLUSTER/POD, or a machine")
    run.add_argument("argv", nargs="+", metavar="COMMAND")
    commands.add_parser("env", help='print variables for a shell: eval "$(python -m tests.lab env)"')
    return parser


sys.exit(main(sys.argv[1:]))
