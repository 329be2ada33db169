"""pypsrp's WSMan client, unmodified, against the lab's Hyper-V front.

usage: pypsrp_session.py HTTPS_URL HTTP_URL USER HTTPS_PASSWORD HTTP_PASSWORD
"""

import sys
import threading
import urllib.parse
import warnings
import xml.etree.ElementTree as ET

warnings.filterwarnings("ignore")

from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError  # noqa: E402
from pypsrp.negotiate import HTTPNegotiateAuth  # noqa: E402
from pypsrp.wsman import NAMESPACES, SelectorSet, WSMan  # noqa: E402

https_url, http_url, user = sys.argv[1:4]
passwords = {https_url: sys.argv[4], http_url: sys.argv[5]}
V2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/"
CIMV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
NS = {"wsen": "http://schemas.xmlsoap.org/ws/2004/09/enumeration", "wsman": NAMESPACES["wsman"]}
refused = 0


def client(url, auth, password=None, encryption="auto"):
    password = password or passwords[url]
    at = urllib.parse.urlparse(url)
    return WSMan(
        at.hostname, port=at.port, path="wsman", ssl=at.scheme == "https", username=user, password=password, auth=auth,
        cert_validation=False, encryption=encryption, max_envelope_size=153600, no_proxy=True,
    )


def count_refusals(wsman):
    """Counts 401 answers from now on."""

    def hook(response, *args, **kwargs):
        global refused
        refused += response.status_code == 401
        return response

    wsman.transport.session.hooks["response"].append(hook)


def pages(wsman, query, most):
    body = ET.Element("{%s}Enumerate" % NS["wsen"])
    wanted = ET.SubElement(body, "{%s}Filter" % NS["wsman"], Dialect=WQL)
    wanted.text = query
    answer = wsman.enumerate(V2 + "*", body)
    context = answer.find("wsen:EnumerateResponse/wsen:EnumerationContext", NS).text
    count, items = 0, []
    while True:
        pull = ET.Element("{%s}Pull" % NS["wsen"])
        ET.SubElement(pull, "{%s}EnumerationContext" % NS["wsen"]).text = context
        ET.SubElement(pull, "{%s}MaxElements" % NS["wsen"]).text = str(most)
        page = wsman.pull(V2 + "*", pull).find("wsen:PullResponse", NS)
        count += 1
        items += list(page.find("wsen:Items", NS))
        if page.find("wsen:EndOfSequence", NS) is not None:
            return count, items


def text(element, name):
    found = [child.text for child in element.iter() if child.tag.rsplit("}", 1)[1] == name]
    return found[0] if found else None


def walk(wsman):
    host = wsman.get(CIMV2 + "Win32_ComputerSystem")
    assert text(host, "Name") in ("HV01", "HVHTTP"), ET.tostring(host)
    count, items = pages(wsman, "select * from Msvm_ComputerSystem", 5)
    assert count == 3 and len(items) == 13, (count, len(items))
    guid = next(text(item, "Name") for item in items if text(item, "ElementName") == "legacy-008")

    selectors = SelectorSet()
    selectors.add_option("CreationClassName", "Msvm_ComputerSystem")
    selectors.add_option("Name", guid)
    vm = wsman.get(V2 + "Msvm_ComputerSystem", selector_set=selectors)
    state = text(vm, "EnabledState")
    uri = V2 + "Msvm_ComputerSystem"
    asked = ET.Element("{%s}RequestStateChange_INPUT" % uri)
    ET.SubElement(asked, "{%s}RequestedState" % uri).text = "2" if state == "3" else "3"
    answer = wsman.invoke(uri + "/RequestStateChange", uri, asked, selector_set=selectors)
    assert text(answer, "ReturnValue") == "4096", ET.tostring(answer)
    job = next(node.text for node in answer.iter() if node.get("Name") == "InstanceID")
    of_job = SelectorSet()
    of_job.add_option("InstanceID", job)
    while text(wsman.get(V2 + "Msvm_ConcreteJob", selector_set=of_job), "JobState") == "4":
        pass
    assert text(wsman.get(uri, selector_set=selectors), "EnabledState") != state

    nobody = SelectorSet()
    nobody.add_option("CreationClassName", "Msvm_ComputerSystem")
    nobody.add_option("Name", "00000000-0000-0000-0000-000000000000")
    try:
        wsman.get(uri, selector_set=nobody)
        raise AssertionError("an instance that is not there was found")
    except WSManFaultError as error:
        assert error.code == 2150858752, error


for name, url, auth in (
    ("NTLM sealed over HTTP", http_url, "ntlm"),
    ("SPNEGO sealed over HTTP", http_url, "negotiate"),
    ("NTLM over HTTPS", https_url, "ntlm"),
    ("SPNEGO over HTTPS", https_url, "negotiate"),
    ("Basic over HTTPS", https_url, "basic"),
):
    with client(url, auth) as wsman:
        walk(wsman)
    print(name, "ok")

with client(https_url, "ntlm", encryption="always") as wsman:
    walk(wsman)
print("NTLM sealed over HTTPS ok")

for url, auth in ((http_url, "ntlm"), (https_url, "negotiate"), (https_url, "basic")):
    try:
        with client(url, auth, "wrong") as wsman:
            wsman.get(CIMV2 + "Win32_ComputerSystem")
        raise AssertionError("a wrong password was let in")
    except AuthenticationError:
        pass
print("wrong passwords ok")

# Without TLS nothing is taken that anybody could read along, and no password is asked for.
for auth in ("ntlm", "basic"):
    try:
        with client(http_url, auth, encryption="never") as wsman:
            wsman.get(CIMV2 + "Win32_ComputerSystem")
        raise AssertionError("an open body was taken over HTTP: " + auth)
    except (AuthenticationError, WinRMTransportError):
        pass
print("open bodies ok")

# A login that was made for another server's certificate.
true_binding = HTTPNegotiateAuth._get_cbt_data
HTTPNegotiateAuth._get_cbt_data = staticmethod(lambda response: b"tls-server-end-point:" + bytes(32))
try:
    with client(https_url, "negotiate") as wsman:
        wsman.get(CIMV2 + "Win32_ComputerSystem")
    raise AssertionError("another server's login was taken")
except AuthenticationError:
    pass
HTTPNegotiateAuth._get_cbt_data = staticmethod(true_binding)
print("another channel ok")

with client(http_url, "ntlm") as wsman:
    wsman.get(CIMV2 + "Win32_ComputerSystem")
    count_refusals(wsman)
    for _ in range(1000):
        wsman.get(CIMV2 + "Win32_ComputerSystem")
    assert refused == 0, refused
print("1000 operations ok")

failures = []


def ten():
    try:
        with client(http_url, "ntlm") as wsman:
            wsman.get(CIMV2 + "Win32_ComputerSystem")
            count_refusals(wsman)
            for _ in range(10):
                wsman.get(CIMV2 + "Win32_ComputerSystem")
    except Exception as error:  # noqa: BLE001
        failures.append(error)


threads = [threading.Thread(target=ten) for _ in range(20)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not failures and refused == 0, (failures, refused)
print("200 operations over 20 connections at once ok")
