#!/usr/bin/env python3
"""Prints src/lab/vsphere/schema.txt from vim25_types_full.json.gz (derived from pyvmomi 9.1.1.0, Apache-2.0).

    python3 vim25_schema.py REFERENCE_FOLDER > src/lab/vsphere/schema.txt

What is in it: the managed types and methods the front answers, every data type their properties, parameters and
results reach (of hosts only what is listed), the device types and faults listed below, and the enumerations of all
these.
"""

import gzip
import json
import sys

MANAGED = {
    # type: methods the lab's front answers; a type without methods has properties only
    "ServiceInstance": "RetrieveServiceContent CurrentTime",
    "SessionManager": "Login Logout SessionIsActive",
    "AuthorizationManager": "HasPrivilegeOnEntities HasUserPrivilegeOnEntities FetchUserPrivilegeOnEntities",
    "ViewManager": "CreateContainerView CreateListView",
    "View": "DestroyView",
    "ManagedObjectView": "",
    "ContainerView": "",
    "ListView": "",
    "PropertyCollector": "CreateFilter RetrieveProperties RetrievePropertiesEx ContinueRetrievePropertiesEx "
    "CancelRetrievePropertiesEx WaitForUpdates WaitForUpdatesEx CheckForUpdates CancelWaitForUpdates "
    "CreatePropertyCollector DestroyPropertyCollector",
    "PropertyFilter": "DestroyPropertyFilter",
    "SearchIndex": "FindByUuid FindAllByUuid FindByInventoryPath FindByDnsName FindAllByDnsName FindByIp FindChild",
    "TaskManager": "",
    "Task": "CancelTask",
    "ExtensibleManagedObject": "",
    "ManagedEntity": "Destroy_Task Rename_Task",
    "Folder": "CreateFolder CreateVM_Task MoveIntoFolder_Task",
    "Datacenter": "",
    "ComputeResource": "",
    "ClusterComputeResource": "",
    "HostSystem": "",
    "ResourcePool": "",
    "VirtualApp": "",
    "Datastore": "",
    "StoragePod": "",
    "Network": "",
    "OpaqueNetwork": "",
    "DistributedVirtualPortgroup": "",
    "DistributedVirtualSwitch": "",
    "VmwareDistributedVirtualSwitch": "",
    "VirtualMachine": "CloneVM_Task ReconfigVM_Task PowerOnVM_Task PowerOffVM_Task SuspendVM_Task ResetVM_Task "
    "ShutdownGuest RebootGuest UnregisterVM MarkAsTemplate MarkAsVirtualMachine CreateSnapshot_Task "
    "RemoveAllSnapshots_Task RevertToCurrentSnapshot_Task AnswerVM RelocateVM_Task",
    "VirtualMachineSnapshot": "RemoveSnapshot_Task RevertToSnapshot_Task",
}

# Whole subtrees of the properties of hosts and switches are of no use to VM lifecycle.
ONLY = {
    "HostSystem": {"runtime", "summary", "datastore", "network", "vm", "parent", "name"},
    "DistributedVirtualSwitch": set(),
    "VmwareDistributedVirtualSwitch": set(),
    "DistributedVirtualPortgroup": {"config"},
}

DATA = """
VirtualDisk VirtualDiskFlatVer2BackingInfo VirtualDiskSparseVer2BackingInfo VirtualDiskRawDiskMappingVer1BackingInfo
VirtualDiskSeSparseBackingInfo
VirtualController VirtualSCSIController ParaVirtualSCSIController VirtualLsiLogicController VirtualLsiLogicSASController
VirtualBusLogicController VirtualSATAController VirtualAHCIController VirtualNVMEController VirtualIDEController
VirtualPCIController VirtualPS2Controller VirtualSIOController VirtualUSBController VirtualUSBXHCIController
VirtualEthernetCard VirtualVmxnet VirtualVmxnet3 VirtualVmxnet2 VirtualE1000 VirtualE1000e VirtualPCNet32
VirtualEthernetCardNetworkBackingInfo VirtualEthernetCardDistributedVirtualPortBackingInfo
VirtualEthernetCardOpaqueNetworkBackingInfo OpaqueNetworkSummary
VirtualCdrom VirtualCdromIsoBackingInfo VirtualCdromRemotePassthroughBackingInfo VirtualCdromAtapiBackingInfo
VirtualFloppy VirtualFloppyRemoteDeviceBackingInfo
VirtualKeyboard VirtualPointingDevice VirtualPointingDeviceDeviceBackingInfo VirtualMachineVideoCard
VirtualMachineVMCIDevice VirtualSerialPort VirtualTPM VirtualDevicePciBusSlotInfo
VirtualMachineDefinedProfileSpec VirtualMachineBootOptionsBootableDiskDevice
VirtualMachineBootOptionsBootableEthernetDevice VirtualMachineBootOptionsBootableCdromDevice
OptionValue TraversalSpec SelectionSpec TaskReasonUser VmfsDatastoreInfo ClusterComputeResourceSummary
ClusterConfigInfoEx VMwareDVSConfigInfo
CustomizationSpec
""".split()

FAULTS = """
InvalidLogin NotAuthenticated NoPermission ManagedObjectNotFound InvalidProperty InvalidRequest InvalidArgument
InvalidType MethodNotFound NotSupported InvalidCollectorVersion RequestCanceled DuplicateName InvalidName
InvalidPowerState InvalidState TaskInProgress ConcurrentAccess ToolsUnavailable CpuHotPlugNotSupported
MemoryHotPlugNotSupported GenericVmConfigFault InvalidVmConfig InvalidDeviceSpec InvalidDeviceBacking
InvalidDeviceOperation MissingController TooManyDevices FileNotFound FileAlreadyExists FileLocked NoDiskSpace
InvalidDatastore InvalidFolder HostNotConnected QuestionPending SystemError LimitExceeded NotFound MissingProperty
SecurityError InsufficientResourcesFault VirtualHardwareVersionNotSupported SnapshotFault RestrictedVersion
CannotAccessVmDevice CannotAccessVmDisk CannotAccessFile HostCommunication OutOfBounds VmConfigFault UnexpectedFault
""".split()

PRIMITIVES = {"string", "int", "long", "short", "byte", "boolean", "double", "float", "anyType"}
RENAMED = {"vmodl.DateTime": "dateTime", "vmodl.PropertyPath": "string", "vmodl.URI": "string", "binary": "base64Binary",
           # A fault inside a data object travels wrapped; only the wrapper holds it bare.
           "vmodl.MethodFault": "LocalizedMethodFault",
           "vmodl.Binary": "base64Binary", "vmodl.MethodName": "string", "vmodl.TypeName": "string"}


def main():
    full = json.load(gzip.open(sys.argv[1] + "/vsphere/vim25_types_full.json.gz"))
    data, enums, managed = full["dataTypes"], full["enums"], full["managedTypes"]
    # Built into pyvmomi, so not in its tables; as the WSDL has them.
    data["MethodFault"] = {"vmodl": "vmodl.MethodFault", "base": "-", "props": [
        {"name": "faultCause", "type": "vmodl.MethodFault", "optional": True},
        {"name": "faultMessage", "type": "vmodl.LocalizableMessage[]", "optional": True}]}
    data["RuntimeFault"] = {"vmodl": "vmodl.RuntimeFault", "base": "vmodl.MethodFault", "props": []}
    data["LocalizedMethodFault"] = {"vmodl": "vmodl.LocalizedMethodFault", "base": "vmodl.DynamicData", "props": [
        {"name": "fault", "type": "bare MethodFault", "optional": False},
        {"name": "localizedMessage", "type": "string", "optional": True}]}
    wire = {"bare MethodFault": "MethodFault"}
    for table in (data, enums, managed):
        for name, entry in table.items():
            wire[entry["vmodl"]] = name
    reached, enumerations, missing = {}, set(), set()

    def kind_of(text):
        many = text.endswith("[]")
        text = text[:-2] if many else text
        if text in RENAMED:
            name = RENAMED[text]
        elif text in PRIMITIVES:
            name = text
        elif text in ("vmodl.ManagedObject",):
            name = "&ManagedObject"
        else:
            name = wire.get(text)
            if name is None:
                missing.add(text)
                name = "anyType"
            elif name in managed:
                name = "&" + name
        return name + ("[]" if many else "")

    def reach(text):
        name = text.rstrip("[]") if text.endswith("[]") else text
        if name in enums:
            enumerations.add(name)
        if name not in data or name in reached:
            return
        entry = data[name]
        reached[name] = entry
        base = wire.get(entry["base"], entry["base"])
        if base in data:
            reach(base)
        for prop in entry["props"]:
            reach(kind_of(prop["type"]))

    def fields(props):
        return "; ".join(p["name"] + " " + kind_of(p["type"]) + ("?" if p["optional"] else "") for p in props)

    lines = []
    for name, methods in sorted(MANAGED.items()):
        entry = managed[name]
        for prop in entry["props"]:
            if name not in ONLY or prop["name"] in ONLY[name]:
                reach(kind_of(prop["type"]))
        base = wire.get(entry["base"])
        base = base if base in MANAGED else "-"
        lines.append(f"M {name} : {base} = {fields(entry['props'])}".rstrip())
        for method in methods.split():
            found = entry["methods"][method]
            for param in found["params"]:
                reach(kind_of(param["type"]))
            reach(kind_of(found["returns"] or "void"))
            returns = "-" if found["returns"] in (None, "void") else kind_of(found["returns"])
            lines.append(f"C {name}.{method} > {returns} @ {found['privilege'] or '-'} = {fields(found['params'])}".rstrip())
    for name in DATA + FAULTS:
        if name not in data:
            sys.exit(f"{name} is not a data type")
        reach(name)
    for name, entry in sorted(reached.items()):
        base = wire.get(entry["base"], entry["base"])
        base = base if base in reached else "-"
        lines.append(f"T {name} : {base} = {fields(entry['props'])}".rstrip())
    for name in sorted(enumerations):
        lines.append(f"E {name} = {' '.join(enums[name]['values'])}")
    print("# vim25 as far as the lab's front speaks it. Made by tests/lab/vim25_schema.py from the data model of pyvmomi")
    print("# 9.1.1.0 (Apache-2.0); a test fails when it is stale. M managed type, C its call, T data type, E enumeration;")
    print("# & reference, [] list, ? optional; fields in wire order, those of the base first.")
    print("\n".join(lines))
    if missing:
        print("unmapped types, taken as anyType: " + ", ".join(sorted(missing)), file=sys.stderr)


main()
