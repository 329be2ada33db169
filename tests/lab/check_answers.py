#!/usr/bin/env python3
"""Checks answers against the whole data model of vim25: REFERENCE_FOLDER FILE.

FILE holds one JSON list a line: [managed type, call, answer]. Every type, property, order of elements, required
property, enumeration word and number must be the data model's. Prints what is wrong; exit 1 if anything is.
"""

import gzip
import json
import re
import sys
import xml.etree.ElementTree as ET

XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
VIM = "{urn:vim25}"
SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"

full = json.load(gzip.open(sys.argv[1] + "/vsphere/vim25_types_full.json.gz"))
data, enums, managed = full["dataTypes"], full["enums"], full["managedTypes"]
# Built into pyvmomi; as the WSDL has them.
data["MethodFault"] = {"vmodl": "vmodl.MethodFault", "base": "-", "props": [
    {"name": "faultCause", "type": "vmodl.LocalizedMethodFault", "optional": True},
    {"name": "faultMessage", "type": "vmodl.LocalizableMessage[]", "optional": True}]}
data["RuntimeFault"] = {"vmodl": "vmodl.RuntimeFault", "base": "vmodl.MethodFault", "props": []}
data["LocalizedMethodFault"] = {"vmodl": "vmodl.LocalizedMethodFault", "base": "vmodl.DynamicData", "props": [
    {"name": "fault", "type": "MethodFault", "optional": False},
    {"name": "localizedMessage", "type": "string", "optional": True}]}
wire = {"MethodFault": "MethodFault", "vmodl.MethodFault": "LocalizedMethodFault"}
for table in (data, enums, managed):
    for name, entry in table.items():
        if name != "MethodFault":
            wire[entry["vmodl"]] = name
base_names = dict(wire, **{"vmodl.MethodFault": "MethodFault"})

NUMBERS = {"int": 31, "long": 63, "short": 15, "byte": 7}
TEXTS = {"string", "anyURI", "base64Binary", "vmodl.PropertyPath", "vmodl.URI", "vmodl.MethodName", "vmodl.TypeName",
         "binary", "vmodl.Binary"}
problems = []
checked = set()


def chain(name):
    out = []
    while name in data:
        out.append(name)
        name = base_names.get(data[name]["base"], "-")
    return out


def props(name):
    return [p for t in reversed(chain(name)) for p in data[t]["props"]]


def managed_chain(name):
    out = []
    while name in managed:
        out.append(name)
        name = wire.get(managed[name]["base"], "-")
    return out


def say(where, what):
    problems.append(f"{where}: {what}")


def check_ref(element, where, wanted):
    kind = element.get("type")
    if kind not in managed:
        say(where, f"a reference to the unknown type {kind}")
    elif wanted not in ("ManagedObject", "ManagedObjectReference", None) and wanted not in managed_chain(kind):
        say(where, f"a reference to {kind} where {wanted} belongs")


def check_plain(element, where, kind):
    text = element.text or ""
    if len(element):
        say(where, f"elements inside of a {kind}")
    elif kind in NUMBERS:
        if not re.fullmatch(r"-?\d+", text) or abs(int(text)) > 1 << NUMBERS[kind]:
            say(where, f"{text!r} is no {kind}")
    elif kind == "boolean":
        if text not in ("true", "false"):
            say(where, f"{text!r} is no boolean")
    elif kind in ("dateTime", "vmodl.DateTime"):
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
            say(where, f"{text!r} is no dateTime")
    elif kind not in TEXTS and kind not in ("double", "float"):
        say(where, f"the unknown primitive {kind}")


def check_any(element, where):
    kind = element.get(XSI + "type")
    if kind is None:
        say(where, "no xsi:type")
    elif kind.startswith("ArrayOf"):
        item = kind[len("ArrayOf"):]
        for child in element:
            name = child.tag.removeprefix(VIM)
            if name not in (item, item[0].lower() + item[1:]):
                say(where, f"{name} in {kind}")
            check_any(child, f"{where}[]")
    elif kind == "ManagedObjectReference":
        check_ref(element, where, None)
    elif kind.startswith("xsd:"):
        check_plain(element, where, kind.removeprefix("xsd:"))
    elif kind in enums:
        if element.text not in enums[kind]["values"]:
            say(where, f"{element.text!r} is no {kind}")
    elif kind in data:
        check_data(element, where, kind)
    else:
        say(where, f"the unknown type {kind}")


def check(element, where, kind):
    """One element of a declared type in the model's own name."""
    name = wire.get(kind, kind)
    if kind == "anyType":
        check_any(element, where)
    elif name in managed or kind == "vmodl.ManagedObject":
        check_ref(element, where, name if name in managed else None)
    elif name in enums:
        if element.text not in enums[name]["values"]:
            say(where, f"{element.text!r} is no {name}")
    elif name in data:
        actual = element.get(XSI + "type", name)
        if name not in chain(actual):
            say(where, f"a {actual} where {name} belongs")
        else:
            check_data(element, where, actual)
    else:
        check_plain(element, where, kind)


def check_data(element, where, kind):
    checked.add(kind)
    known = props(kind)
    at = -1
    seen = set()
    for child in element:
        name = child.tag.removeprefix(VIM)
        places = [i for i, p in enumerate(known) if p["name"] == name]
        if not places:
            say(where, f"{kind} has no {name}")
            continue
        place = places[0]
        many = known[place]["type"].endswith("[]")
        if place < at or (place == at and not many):
            say(where, f"{name} out of order in {kind}")
        at = place
        seen.add(name)
        declared = known[place]["type"]
        check(child, f"{where}.{name}", declared[:-2] if many else declared)
    for p in known:
        if not p["optional"] and not p["type"].endswith("[]") and p["name"] not in seen:
            say(where, f"{kind} lacks the required {p['name']}")


def method(kind, name):
    for each in managed_chain(kind):
        found = managed[each]["methods"].get(name)
        if found:
            return found
    return None


def check_answer(kind, call, text):
    body = ET.fromstring(text).find(SOAP + "Body")
    answer = body[0]
    where = f"{kind}.{call}"
    if answer.tag == SOAP + "Fault":
        detail = answer.find("detail") if answer.find("detail") is not None else answer.find(SOAP + "detail")
        fault = detail[0]
        name = fault.get(XSI + "type")
        if name not in data or "MethodFault" not in chain(name):
            say(where, f"the unknown fault {name}")
        else:
            if fault.tag != f"{VIM}{name}Fault":
                say(where, f"{fault.tag} for the fault {name}")
            check_data(fault, f"{where}!{name}", name)
        return
    if answer.tag != f"{VIM}{call}Response":
        say(where, f"{answer.tag} as an answer")
    if call == "Fetch":
        for each in answer:
            check_any(each, where)
        return
    found = method(kind, call)
    if not found:
        say(where, "no such call")
        return
    returns = found["returns"] or "void"
    many = returns.endswith("[]")
    if len(answer) > 1 and not many:
        say(where, "several returnvals")
    for each in answer:
        check(each, where, returns[:-2] if many else returns)


count = 0
for line in open(sys.argv[2], encoding="utf-8"):
    check_answer(*json.loads(line))
    count += 1
print(f"{count} answers, {len(checked)} types")
for problem in sorted(set(problems))[:60]:
    print(problem)
sys.exit(1 if problems or count < 10 else 0)
