"""Makes VMs by hand, with VMware's own client: make.py URL COUNT

They differ in size, disks, networks, power, notes and settings of others, and some have names that no manifest could
have. Prints the names, one a line.
"""

import sys

from session import connect, wait
from pyVmomi import vim

url, count = sys.argv[1], int(sys.argv[2])
service = connect(url)
content = service.RetrieveContent()
datacenter = content.rootFolder.childEntity[0]
computes = [c for c in datacenter.hostFolder.childEntity if isinstance(c, vim.ComputeResource)]
networks = {network.name: network for network in datacenter.network}
ODD = {3: "Größe%2f3", 7: "(old) web: 7", 11: "  spaced  11 ", 13: "x" * 79, 17: "true", 19: "twin", 23: "TWIN"}


def disk(unit, mib):
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(diskMode="persistent", thinProvisioned=True, fileName="")
    device = vim.vm.device.VirtualDisk(
        key=-10 - unit, controllerKey=-1, unitNumber=unit, capacityInKB=mib << 10, backing=backing)
    return vim.vm.device.VirtualDeviceSpec(operation="add", fileOperation="create", device=device)


def nic(number, name):
    network = networks[name]
    if isinstance(network, vim.dvs.DistributedVirtualPortgroup):
        port = vim.dvs.PortConnection(
            portgroupKey=network.key, switchUuid=network.config.distributedVirtualSwitch.uuid)
        backing = vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port)
    else:
        backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName=name, network=network)
    return vim.vm.device.VirtualDeviceSpec(operation="add", device=vim.vm.device.VirtualVmxnet3(
        key=-20 - number, addressType="generated", backing=backing))


for number in range(count):
    scsi = vim.vm.device.VirtualDeviceSpec(operation="add", device=vim.vm.device.ParaVirtualSCSIController(
        key=-1, busNumber=0, sharedBus="noSharing"))
    disks = [disk(unit, 64 * (1 + unit + number % 5)) for unit in range(1 + number % 3)]
    nics = [nic(n, ["DC0_DVPG0", "VM Network"][(number + n) % 2]) for n in range(number % 3)]
    config = vim.vm.ConfigSpec(
        name=ODD.get(number, f"hand-{number:02}"),
        guestId="windows9_64Guest" if number % 4 == 3 else "debian10_64Guest",
        numCPUs=1 + number % 4,
        memoryMB=64 * (1 + number % 6),
        firmware="efi" if number % 2 else "bios",
        annotation=f"made by hand, number {number}\nask Anna",
        files=vim.vm.FileInfo(vmPathName=f"[LocalDS_0] made-{number}/made-{number}.vmx"),
        extraConfig=[vim.option.OptionValue(key="somebody.else", value=f"theirs {number}")],
        deviceChange=[scsi, *disks, *nics],
    )
    pool = computes[number % len(computes)].resourcePool
    task = datacenter.vmFolder.CreateVM_Task(config=config, pool=pool)
    wait(task)
    if number % 3:
        wait(task.info.result.PowerOnVM_Task())
    print(config.name)
