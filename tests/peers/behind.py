"""Changes a VM behind tierwright's back, with VMware's own client.

behind.py URL set NAME KEY VALUE         an extraConfig entry
behind.py URL annotate NAME TEXT
behind.py URL memory NAME MIB
behind.py URL cpus NAME COUNT
"""

import sys

from session import connect, find_vm, wait
from pyVmomi import vim

url, what, name, *rest = sys.argv[1:]
service = connect(url)
vm = find_vm(service, name)
spec = vim.vm.ConfigSpec()
if what == "set":
    spec.extraConfig = [vim.option.OptionValue(key=rest[0], value=rest[1])]
elif what == "annotate":
    spec.annotation = rest[0]
elif what == "memory":
    spec.memoryMB = int(rest[0])
elif what == "cpus":
    spec.numCPUs = int(rest[0])
else:
    sys.exit(f"what is `{what}`?")
wait(vm.ReconfigVM_Task(spec))
