"""Writes src/lab/hyperv/schema.txt from the class data of the reference: the classes and methods the lab's front has.

usage: wmi_schema.py REFERENCE/hyperv > src/lab/hyperv/schema.txt
"""

import json
import re
import sys

HEADER = """\
# The WMI classes the lab's Hyper-V front has, with their properties and methods. Made by tests/lab/wmi_schema.py from
# the class data of MicrosoftDocs/win32 and of Windows Server 2019; a test fails when it is stale.
# C namespace class : base keys = properties; M class.method = parameters. & reference, * embedded object, [] list.
"""

V2 = """Msvm_AffectedJobElement Msvm_ComputerSystem Msvm_ConcreteJob Msvm_EthernetPortAllocationSettingData
Msvm_EthernetSwitchPortVlanSettingData Msvm_GuestNetworkAdapterConfiguration Msvm_HeartbeatComponent
Msvm_ImageManagementService Msvm_KvpExchangeComponent Msvm_KvpExchangeDataItem Msvm_MemorySettingData Msvm_MigrationJob
Msvm_MostCurrentSnapshotInBranch Msvm_PlannedComputerSystem Msvm_ProcessorPool Msvm_ProcessorSettingData
Msvm_ResourceAllocationSettingData Msvm_ResourcePool Msvm_SettingDataComponent Msvm_SettingsDefineState
Msvm_ShutdownComponent Msvm_SnapshotOfVirtualSystem Msvm_StorageAllocationSettingData Msvm_StorageJob
Msvm_SummaryInformation Msvm_SyntheticEthernetPortSettingData Msvm_EmulatedEthernetPortSettingData
Msvm_VirtualEthernetSwitch Msvm_VirtualHardDiskSettingData Msvm_VirtualHardDiskState
Msvm_VirtualSystemManagementService Msvm_VirtualSystemManagementServiceSettingData Msvm_VirtualSystemSettingData
Msvm_VirtualSystemSettingDataComponent""".split()
CIMV2 = "CIM_DataFile Win32_ComputerSystem Win32_Directory Win32_LogicalDisk Win32_OperatingSystem Win32_Volume".split()
CLUSTER = """MSCluster_Cluster MSCluster_Node MSCluster_Resource MSCluster_ResourceGroup
MSCluster_ResourceGroupToResource""".split()

METHODS = {
    "Msvm_ComputerSystem": ["RequestStateChange"],
    "Msvm_ConcreteJob": ["GetError", "GetErrorEx"],
    "Msvm_StorageJob": ["GetError", "GetErrorEx"],
    "Msvm_ImageManagementService": [
        "ConvertVirtualHardDisk", "CreateVirtualHardDisk", "GetVirtualHardDiskSettingData", "GetVirtualHardDiskState",
        "ResizeVirtualHardDisk", "SetVirtualHardDiskSettingData", "ValidateVirtualHardDisk",
    ],
    "Msvm_ShutdownComponent": ["InitiateShutdown"],
    "Msvm_VirtualSystemManagementService": [
        "AddFeatureSettings", "AddResourceSettings", "DefineSystem", "DestroySystem", "GetSummaryInformation",
        "ModifyFeatureSettings", "ModifyResourceSettings", "ModifySystemSettings", "RemoveFeatureSettings",
        "RemoveResourceSettings",
    ],
    "CIM_DataFile": ["Copy", "Delete"],
    "MSCluster_Cluster": ["AddVirtualMachine"],
    "MSCluster_ResourceGroup": ["DestroyGroup", "MoveToNewNode"],
}

PLAIN = {"string", "boolean", "datetime", "uint8", "uint16", "uint32", "uint64", "sint8", "sint16", "sint32", "sint64"}


def declared(text):
    """`uint16 Roles[] = {2}` -> ("Roles", "uint16[]")"""
    text = text.split("=")[0].strip()
    words = text.split()
    kind, name = words[0], words[-1]
    many = name.endswith("[]")
    name = name.removesuffix("[]")
    if "REF" in words:
        kind = "&"
    elif kind.lower() in PLAIN:
        kind = kind.lower()
    else:
        kind = "*"
    return name, kind + ("[]" if many else "")


def parameters(signature):
    inside = signature[signature.index("(") + 1 : signature.rindex(")")]
    out = []
    for part in filter(None, (part.strip() for part in inside.split(","))):
        way = re.match(r"\[([^\]]*)\]\s*(.*)", part)
        directions = way.group(1).replace(" ", "").split(",") if way else ["in"]
        name, kind = declared(way.group(2) if way else part)
        out.append(("out" if "out" in directions else "in", name, kind))
    return out


def main(folder):
    read = lambda name: json.load(open(f"{folder}/{name}.json"))
    main, extra = read("virtualization-v2-classes"), read("virtualization-v2-supplement")
    cimv2, cluster = read("cimv2-classes"), read("mscluster-classes")
    sys.stdout.write(HEADER)
    for namespace, wanted, sources in (
        ("root/virtualization/v2", V2, [main, extra]),
        ("root/cimv2", CIMV2, [cimv2]),
        ("root/MSCluster", CLUSTER, [cluster]),
    ):
        for name in sorted(wanted):
            found = [source["classes"][name] for source in sources if name in source["classes"]]
            fields, keys = {}, []
            for each in found:
                for text in each.get("props", []) + each.get("server2019_only", []):
                    field, kind = declared(text)
                    fields.setdefault(field, kind)
                keys = each.get("keys") or keys
            base = found[0].get("super") or "-"
            listed = "; ".join(f"{field} {kind}" for field, kind in sorted(fields.items(), key=lambda f: f[0].lower()))
            print(f"C {namespace} {name} : {base} {','.join(keys) or '-'} = {listed}")
            for method in METHODS.get(name, []):
                known = [source["methods"][name][method] for source in sources if method in source["methods"].get(name, {})]
                listed = "; ".join(" ".join(each) for each in parameters(known[0]["sig"]))
                print(f"M {name}.{method} = {listed}".rstrip())


main(sys.argv[1])
