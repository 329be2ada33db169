"""Login and look-up for the scripts here."""

import ssl
import sys
import time
from urllib.parse import urlparse

from pyVim.connect import SmartConnect
from pyVmomi import vim


def connect(url):
    """A test server on loopback with a certificate of its own: not checked here, the Rust side does."""
    at = urlparse(url)
    return SmartConnect(
        host=at.hostname,
        port=at.port,
        user="user",
        pwd="pass",
        sslContext=ssl._create_unverified_context(),
    )


def all_vms(service):
    content = service.RetrieveContent()
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    return sorted(view.view, key=lambda vm: vm.name)


def find_vm(service, name):
    found = [vm for vm in all_vms(service) if vm.name == name]
    if len(found) != 1:
        sys.exit(f"{len(found)} VMs are called {name}")
    return found[0]


def wait(task):
    while task.info.state not in ("success", "error"):
        time.sleep(0.05)
    if task.info.state == "error":
        sys.exit(task.info.error.msg)
