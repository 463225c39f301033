"""Kernels that need not import torch: forked from a process that has imported it.

A notebook's kernel spends most of its time importing torch, Matplotlib and IPython. Here
one process does that for all the notebooks of a test run, and each kernel is a fork of it:
a process of its own, in which no cell ran before. ``convnotes`` is imported in each anew.

They are not quite new Pythons. What a notebook forgets to import from these packages it
could find here all the same; sets have the same order in all of them; and none may start
processes through multiprocessing. So ``conftest.py`` uses them for quick runs, not in
continuous integration, and ``make notebooks`` never does.
"""

import multiprocessing
import os
import sys
import threading
from importlib.metadata import EntryPoint
from subprocess import Popen
from typing import Any, cast

import matplotlib
import numpy as np
import torch
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

START = multiprocessing.get_context("forkserver")
IMPORTED = ["torch._dynamo", "matplotlib.pyplot", "matplotlib.backends.backend_svg"]
START.set_forkserver_preload([__name__, *IMPORTED])
PATH = [folder for folder in sys.path if folder]  # of the server; IPython adds ""


def run(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Be a kernel, as ``python -m ipykernel_launcher`` is one."""
    os.setsid()
    threading.Thread(target=end_with_the_tests, daemon=True).start()
    np.random.seed(None)  # noqa: NPY002  the generators would be the server's
    torch.seed()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = PATH
    matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"
    # Its parent is the server, and not what it was when the kernel's class was imported.
    IPKernelApp.launch_instance(
        [*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"]
    )


def end_with_the_tests() -> None:
    """End this kernel where the tests' process was killed: its server would wait for it."""
    tests = multiprocessing.parent_process()
    assert tests is not None
    tests.join()
    os._exit(1)


class Process:
    """What a provisioner asks of its kernel's ``subprocess.Popen``."""

    stdin = stdout = stderr = None

    def __init__(self, *arguments: Any) -> None:
        self.process = START.Process(target=run, args=arguments, daemon=True)
        self.process.start()
        self.terminate, self.kill = self.process.terminate, self.process.kill

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self) -> int | None:
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.process.pid or 0, number)


class ForkedKernel(LocalProvisioner):
    async def launch_kernel(self, cmd: list[str], **how: Any) -> KernelConnectionInfo:
        folder = str(how.get("cwd") or os.getcwd())
        arguments = cmd[cmd.index("-f") :]
        kernel = Process(arguments, folder, how.get("env") or dict(os.environ))
        self.process = cast(Popen[bytes], kernel)
        self.pid = self.pgid = kernel.process.pid  # what the kernel starts ends with it
        return self.connection_info


def use() -> None:
    """From here on, start all kernels of this process so."""
    factory = KernelProvisionerFactory.instance()
    factory.provisioners["forked"] = EntryPoint(
        "forked", f"{__name__}:{ForkedKernel.__name__}", factory.GROUP_NAME
    )
    factory.default_provisioner_name = "forked"
