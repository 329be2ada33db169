"""A VM's life through pyvmomi, unmodified: URL USER PASSWORD."""

import ssl
import sys
from urllib.parse import urlparse

from pyVim.connect import Disconnect, SmartConnect
from pyVim.task import WaitForTask
from pyVmomi import vim, vmodl

url, user, password = sys.argv[1:4]
at = urlparse(url)
context = ssl._create_unverified_context()


def connect(password):
    return SmartConnect(host=at.hostname, port=at.port, user=user, pwd=password, sslContext=context)


try:
    connect("wrong")
    sys.exit("a wrong password was taken")
except vim.fault.InvalidLogin as fault:
    assert "incorrect user name or password" in fault.msg, fault.msg

service = connect(password)
content = service.RetrieveContent()
assert content.about.apiType == "VirtualCenter", content.about
assert content.sessionManager.currentSession.userName == user


def listed(kind, container=None):
    view = content.viewManager.CreateContainerView(container or content.rootFolder, [kind], True)
    try:
        return list(view.view)
    finally:
        view.Destroy()


vms = {vm.name: vm for vm in listed(vim.VirtualMachine)}
assert "tmpl-debian-12" in vms and len(vms) == 14, sorted(vms)
assert [c.name for c in listed(vim.ClusterComputeResource)] == ["gold"]
assert sorted(h.summary.hardware.memorySize >> 30 for h in listed(vim.HostSystem)) == [512] * 3

# The property collector, as the samples use it: a view, a traversal, pages.
collector = content.propertyCollector
view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
through = vmodl.query.PropertyCollector.TraversalSpec(name="all", path="view", skip=False, type=vim.view.ContainerView)
start = vmodl.query.PropertyCollector.ObjectSpec(obj=view, skip=True, selectSet=[through])
paths = ["name", "config.instanceUuid", "config.hardware.device", "config.extraConfig", "runtime.powerState",
         "summary.config.numCpu", "guest.toolsRunningStatus", "config.changeVersion", "parent", "snapshot"]
wanted = vmodl.query.PropertyCollector.PropertySpec(type=vim.VirtualMachine, pathSet=paths)
spec = vmodl.query.PropertyCollector.FilterSpec(objectSet=[start], propSet=[wanted])
options = vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=5)
page = collector.RetrievePropertiesEx([spec], options)
found = list(page.objects)
pages = 1
while page.token:
    page = collector.ContinueRetrievePropertiesEx(page.token)
    found += page.objects
    pages += 1
assert (len(found), pages) == (14, 3), (len(found), pages)
assert all(not each.missingSet for each in found)
try:
    bad = vmodl.query.PropertyCollector.PropertySpec(type=vim.VirtualMachine, pathSet=["config.nonsense"])
    collector.RetrieveContents([vmodl.query.PropertyCollector.FilterSpec(objectSet=[start], propSet=[bad])])
    sys.exit("an unknown property was taken")
except vmodl.query.InvalidProperty as fault:
    assert fault.name == "config.nonsense", fault

# Everything there is of one VM can be read.
for vm in (vms["tmpl-debian-12"], vms["legacy-005"]):
    for name in ("config", "runtime", "guest", "summary", "snapshot", "datastore", "network", "resourcePool", "parent",
                 "recentTask", "overallStatus", "layout", "layoutEx", "storage", "rootSnapshot", "customValue"):
        getattr(vm, name)
assert vms["legacy-005"].snapshot.rootSnapshotList[0].name == "before-upgrade"

datacenter = content.rootFolder.childEntity[0]
assert datacenter.name == "dc1"
prod = content.searchIndex.FindByInventoryPath("dc1/vm/Prod")
pool = listed(vim.ClusterComputeResource)[0].resourcePool
network = next(n for n in datacenter.network if n.name == "PG-APP-10")
group = next(n for n in datacenter.network if n.name == "PG-DB-20")
assert isinstance(group, vim.dvs.DistributedVirtualPortgroup) and group.key == group.config.key
assert group.config.distributedVirtualSwitch.uuid


def disk(key, unit, gib):
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(diskMode="persistent", thinProvisioned=True, fileName="")
    device = vim.vm.device.VirtualDisk(key=key, controllerKey=-1, unitNumber=unit, capacityInKB=gib << 20, backing=backing)
    return vim.vm.device.VirtualDeviceSpec(operation="add", fileOperation="create", device=device)


scsi = vim.vm.device.VirtualDeviceSpec(operation="add", device=vim.vm.device.ParaVirtualSCSIController(
    key=-1, busNumber=0, sharedBus="noSharing"))
nic = vim.vm.device.VirtualDeviceSpec(operation="add", device=vim.vm.device.VirtualVmxnet3(
    key=-3, addressType="generated",
    backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName=network.name, network=network)))
config = vim.vm.ConfigSpec(
    name="born/here", guestId="debian12_64Guest", numCPUs=2, memoryMB=2048, firmware="efi",
    instanceUuid="7e2f0a64-9e0f-5d0f-8e51-000000000001", files=vim.vm.FileInfo(vmPathName="[nvme-01]"),
    extraConfig=[vim.option.OptionValue(key="tierwright.mark", value="{}")],
    deviceChange=[scsi, disk(-2, 0, 8), nic])
WaitForTask(prod.CreateVM_Task(config=config, pool=pool))
born = content.searchIndex.FindByUuid(None, config.instanceUuid, True, True)
assert born.name == "born%2fhere" and born.config.hardware.memoryMB == 2048
assert {o.key: o.value for o in born.config.extraConfig}["tierwright.mark"] == "{}"
try:
    WaitForTask(prod.CreateVM_Task(config=config, pool=pool))
    sys.exit("a name was taken twice")
except vim.fault.DuplicateName as fault:
    assert fault.object == born, fault

# Reconfigure: a second disk on the same controller, more memory, a distributed port group.
second = disk(-1, 1, 4)
second.device.controllerKey = 1000
card = next(d for d in born.config.hardware.device if isinstance(d, vim.vm.device.VirtualEthernetCard))
card.backing = vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(
    port=vim.dvs.PortConnection(portgroupKey=group.key, switchUuid=group.config.distributedVirtualSwitch.uuid))
move = vim.vm.device.VirtualDeviceSpec(operation="edit", device=card)
before = born.config.changeVersion
WaitForTask(born.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=4096, changeVersion=before, deviceChange=[second, move])))
assert born.config.changeVersion != before and born.config.hardware.memoryMB == 4096
disks = [d for d in born.config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)]
assert [(d.unitNumber, d.capacityInKB >> 20) for d in disks] == [(0, 8), (1, 4)], disks
assert born.network == [group]
try:
    WaitForTask(born.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="late", changeVersion=before)))
    sys.exit("an old changeVersion was taken")
except vim.fault.ConcurrentAccess:
    pass

WaitForTask(born.PowerOnVM_Task())
assert born.runtime.powerState == "poweredOn" and born.runtime.host
try:
    WaitForTask(born.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=8192)))
    sys.exit("memory was added without hot-add")
except vim.fault.MemoryHotPlugNotSupported as fault:
    assert "hot plug" in fault.msg, fault.msg
try:
    WaitForTask(born.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=4)))
    sys.exit("CPUs were added without hot-add")
except vim.fault.CpuHotPlugNotSupported:
    pass
try:
    born.ShutdownGuest()
    sys.exit("a guest without tools shut down")
except vim.fault.ToolsUnavailable:
    pass
try:
    WaitForTask(born.Destroy_Task())
    sys.exit("a running VM was destroyed")
except vim.fault.InvalidPowerState as fault:
    assert fault.existingState == "poweredOn", fault
WaitForTask(born.PowerOffVM_Task())
WaitForTask(born.Destroy_Task())
assert content.searchIndex.FindByUuid(None, config.instanceUuid, True, True) is None
try:
    born.name
    sys.exit("a destroyed VM still has a name")
except vmodl.fault.ManagedObjectNotFound:
    pass

# A clone of a template.
template = vms["tmpl-debian-12"]
place = vim.vm.RelocateSpec(pool=pool, datastore=datacenter.datastore[0])
task = template.CloneVM_Task(folder=prod, name="cloned", spec=vim.vm.CloneSpec(
    location=place, powerOn=True, template=False, config=vim.vm.ConfigSpec(numCPUs=2, annotation="by pyvmomi")))
WaitForTask(task)
clone = task.info.result
assert clone.name == "cloned" and clone.config.annotation == "by pyvmomi" and clone.runtime.powerState == "poweredOn"
assert clone.config.hardware.numCPU == 2 and clone.config.cpuHotAddEnabled
assert clone.config.hardware.device[-1].macAddress != template.config.hardware.device[-1].macAddress
clone.ShutdownGuest()

rights = content.authorizationManager.HasPrivilegeOnEntities(
    [clone], content.sessionManager.currentSession.key, ["VirtualMachine.Config.Memory"])
assert rights[0].privAvailability[0].isGranted
assert content.taskManager.recentTask
Disconnect(service)
print("pyvmomi: all well")
