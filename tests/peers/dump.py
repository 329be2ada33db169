"""Every property of every VM as JSON, by name, for comparing before and after.

dump.py URL [NAME...]         these VMs left out

Left out of each VM: what moves by itself on a running server (storage figures and times of reading).
"""

import json
import sys

from session import connect, all_vms
from pyVmomi import VmomiSupport, vim, vmodl

url, *but = sys.argv[1:]
MOVING = {"storage", "layoutEx", "environmentBrowser", "capability"}


def plain(value):
    if isinstance(value, VmomiSupport.ManagedObject):
        return str(value)
    if isinstance(value, VmomiSupport.DataObject):
        named = {p.name: plain(getattr(value, p.name)) for p in value._GetPropertyList()}
        return {"_type": type(value).__name__, **{k: v for k, v in named.items() if v not in (None, [], "")}}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    return str(value)


def everything(service):
    """All properties in one call: asking for one that is unset makes vcsim hang up."""
    content = service.RetrieveContent()
    spec = vmodl.query.PropertyCollector.FilterSpec(
        objectSet=[vmodl.query.PropertyCollector.ObjectSpec(obj=vm) for vm in all_vms(service)],
        propSet=[vmodl.query.PropertyCollector.PropertySpec(type=vim.VirtualMachine, all=True)],
    )
    found = content.propertyCollector.RetrievePropertiesEx([spec], vmodl.query.PropertyCollector.RetrieveOptions())
    return [{p.name: plain(p.val) for p in item.propSet if p.name not in MOVING} for item in found.objects]


dump = {vm["name"]: vm for vm in everything(connect(url)) if vm["name"] not in but}
for vm in dump.values():
    vm["summary"].pop("storage", None)
json.dump(dump, sys.stdout, sort_keys=True, indent=1)
