"""A VM's life on the lab's XenServer front, by the PyPI XenAPI package as it is. Arguments: URL, user, password."""

import sys

import XenAPI

URL, USER, PASSWORD = sys.argv[1:4]
MIB = 1 << 20


def refused(code, call, *arguments):
    """The call must fail with this code; the rest of what it answers."""
    try:
        call(*arguments)
    except XenAPI.Failure as failure:
        assert failure.details[0] == code, failure.details
        return failure.details[1:]
    raise AssertionError(f"{code} was expected")


def awaited(xenapi, task):
    """Waits for a task by event.from and takes it away."""
    token = ""
    while True:
        batch = xenapi.event_from([f"task/{task}"], token, 5.0)
        token = batch["token"]
        for event in batch["events"]:
            if event["snapshot"]["status"] != "pending":
                xenapi.task.destroy(task)
                return event["snapshot"]


class Calls:
    """`event.from` is no attribute Python takes: a name for it."""

    def __init__(self, session):
        self.session = session

    def __getattr__(self, name):
        return getattr(self.session.xenapi, name)

    def event_from(self, classes, token, timeout):
        return self.session.xenapi_request("event.from", (classes, token, timeout))


session = XenAPI.Session(URL, ignore_ssl=True)
refused("SESSION_AUTHENTICATION_FAILED", session.xenapi.login_with_password, USER, "wrong", "2.3", "tierwright")
session.xenapi.login_with_password(USER, PASSWORD, "2.3", "tierwright")
xenapi = Calls(session)

pool = list(xenapi.pool.get_all_records().values())[0]
hosts = xenapi.host.get_all_records()
assert pool["master"] in hosts and len(hosts) == 3, hosts.keys()
records = xenapi.VM.get_all_records()
templates = {r["name_label"]: ref for ref, r in records.items() if r["is_a_template"] and not r["is_a_snapshot"]}
assert sum(r["is_control_domain"] for r in records.values()) == 3

first = xenapi.event_from(["*"], "", 0.0)
assert all(event["operation"] == "add" for event in first["events"])
assert int(first["valid_ref_counts"]["vm"]) == len(records), first["valid_ref_counts"]
idle = xenapi.event_from(["*"], first["token"], 0.05)
assert idle["events"] == [], idle["events"]

# Made: cloned, marked, provisioned, sized, a disk and a card more.
vm = xenapi.VM.clone(templates["tmpl-debian-12"], "erp-db-01")
assert xenapi.VM.get_is_a_template(vm)
xenapi.VM.remove_from_other_config(vm, "tierwright:key")
xenapi.VM.add_to_other_config(vm, "tierwright:key", "erp/erp-db-01")
assert refused("MAP_DUPLICATE_KEY", xenapi.VM.add_to_other_config, vm, "tierwright:key", "x")[:2] == ["VM", "other_config"]
xenapi.VM.provision(vm)
xenapi.VM.set_VCPUs_max(vm, "4")
xenapi.VM.set_VCPUs_at_startup(vm, "2")
xenapi.VM.set_memory_limits(vm, *[str(n * MIB) for n in (256, 1024, 512, 1024)])
vdi = xenapi.VDI.create({
    "SR": pool["default_SR"], "name_label": "erp-db-01 data", "name_description": "", "virtual_size": str(4 << 30),
    "type": "user", "sharable": False, "read_only": False, "other_config": {"tierwright:disk": "data"},
    "xenstore_data": {}, "sm_config": {}, "tags": [],
})
vbd = xenapi.VBD.create({
    "VM": vm, "VDI": vdi, "userdevice": "1", "bootable": False, "mode": "RW", "type": "Disk", "unpluggable": True,
    "empty": False, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {},
})
network = xenapi.network.get_by_name_label("hosted-private")[0]
vif = xenapi.VIF.create({
    "VM": vm, "network": network, "device": "1", "MAC": "02:00:00:00:00:01", "MTU": "1500", "other_config": {},
    "qos_algorithm_type": "", "qos_algorithm_params": {},
})

task = xenapi.Async.VM.start(vm, False, False)
assert awaited(xenapi, task)["status"] == "success"
refused("HANDLE_INVALID", xenapi.task.get_record, task)
record = xenapi.VM.get_record(vm)
assert record["power_state"] == "Running" and record["resident_on"] in hosts, record
assert (record["VCPUs_at_startup"], record["memory_static_max"]) == ("2", str(1024 * MIB)), record
assert refused("VM_BAD_POWER_STATE", xenapi.VM.set_VCPUs_max, vm, "8") == [vm, "halted", "running"]
assert refused("VDI_IN_USE", xenapi.VDI.resize, vdi, str(8 << 30)) == [vdi, "resize"]
assert refused("VM_BAD_POWER_STATE", xenapi.VM.destroy, vm) == [vm, "halted, suspended", "running"]

delta = xenapi.event_from(["vm", "vbd", "vdi", "vif"], first["token"], 5.0)
added = {(event["class"], event["ref"]) for event in delta["events"] if event["operation"] == "add"}
assert {("vm", vm), ("vdi", vdi), ("vbd", vbd), ("vif", vif)} <= added, added

xenapi.VM.clean_shutdown(vm)
assert xenapi.VM.get_power_state(vm) == "Halted"
xenapi.VDI.resize(vdi, str(8 << 30))
assert xenapi.VDI.get_virtual_size(vdi) == str(8 << 30)
failed = awaited(xenapi, xenapi.Async.VM.start(templates["tmpl-debian-12"], False, False))
assert failed["status"] == "failure" and failed["error_info"][0] == "VM_IS_TEMPLATE", failed

# Gone: the VM leaves its disks.
xenapi.VM.destroy(vm)
assert refused("HANDLE_INVALID", xenapi.VM.get_record, vm) == ["VM", vm]
assert xenapi.VDI.get_VBDs(vdi) == []
xenapi.VDI.destroy(vdi)
last = xenapi.event_from(["vm"], delta["token"], 5.0)
# The template was at work meanwhile, and is told of too.
assert [e["ref"] for e in last["events"] if e["operation"] == "del"] == [vm], last["events"]
session.xenapi.logout()
print("a VM lived and went")
