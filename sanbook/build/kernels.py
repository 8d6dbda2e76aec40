"""Kernels that start at once: processes forked from one that has imported the libraries.

Importing torch and the others takes about 5 s of processor time, more than most pages compute.
Where processes cannot be forked (Windows), a kernel is a new process and imports what it needs.
"""

import multiprocessing
import os
import sys
import threading
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Unicode
from traitlets.config import Config

# Libraries of many pages; "__main__" keeps each kernel from running the program that started it.
IMPORTED = ["__main__", "ipykernel.kernelapp", "matplotlib.pyplot", "neurokit2", "numba", "pandas"]
IMPORTED += ["sklearn.datasets", "torch", "torch.nn.functional", "wfdb"]
# Arrays of 8 MB and more go back to the system when they are freed. glibc, which reads this when a
# process starts, would keep those below 32 MB, such as ten thousand images.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**23))
METHODS = multiprocessing.get_all_start_methods()
CONTEXT = multiprocessing.get_context("forkserver" if "forkserver" in METHODS else "spawn")
CONTEXT.set_forkserver_preload(IMPORTED)


def run_kernel(arguments: list[str], folder: str, environment: dict[str, str], log: str) -> None:
    """Be a kernel until it is told to end, and write its peak memory in kilobytes beside ``log``.

    The peak is taken before the process ends, as torch reads CUDA once more to unload it.
    """
    if hasattr(os, "setsid"):
        os.setsid()  # an interrupt from the terminal is for the program that started it
    os.chdir(folder)
    os.environ.update(environment, SAN_CACHE_LOG=log)
    if "torch" in sys.modules and (threads := environment.get("OMP_NUM_THREADS")):
        sys.modules["torch"].set_num_threads(int(threads))  # torch took the number at its import
    engine = multiprocessing.parent_process()
    threading.Thread(target=lambda: (engine.join(), os._exit(1)), daemon=True).start()
    import matplotlib
    from ipykernel.kernelapp import IPKernelApp

    # A kernel sets it before matplotlib is imported, which is too late here.
    matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"
    IPKernelApp.launch_instance(argv=arguments)
    Path(f"{log}.peak").write_text(str(peak_memory()))


def peak_memory() -> int:
    """The largest memory of this process so far, in kilobytes."""
    if os.name == "nt":
        import psutil

        return psutil.Process().memory_info().peak_wset // 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


class KernelProcess(CONTEXT.Process):
    """A process with what jupyter_client asks of a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        return self.exitcode

    def wait(self) -> int | None:
        """Wait for the end; returns the exit status."""
        self.join()
        return self.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)


class Provisioner(LocalProvisioner):
    """Starts a kernel as a `KernelProcess`; ``cache_log`` is the file that the cache adds to."""

    cache_log = Unicode(config=True)

    async def launch_kernel(self, cmd: list[str], **options) -> dict:
        """See `LocalProvisioner`."""
        arguments = cmd[cmd.index("-f") :]
        given = (arguments, os.getcwd(), dict(options["env"]), self.cache_log)
        self.process = KernelProcess(target=run_kernel, args=given)
        self.process.start()
        self.pid = self.process.pid
        return self.connection_info


class Manager(AsyncKernelManager):
    """Manages a kernel of `Provisioner`."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.provisioner = Provisioner(kernel_spec=self.kernel_spec, parent=self)


def kernel_options(folder: str, log: Path) -> dict:
    """What papermill is told of the kernel of a page.

    Its sockets lie in a folder of its own, as two kernels could be given the same TCP port. Windows
    has no such sockets, so the kernel has ports there.
    """
    sockets = {} if os.name == "nt" else {"transport": "ipc", "ip": f"{folder}/kernel"}
    return {
        "extra_arguments": ["--log-level=CRITICAL"],  # of the kernel's own log only
        "kernel_manager_class": Manager,
        "config": Config(KernelManager=sockets, Provisioner={"cache_log": str(log)}),
    }
