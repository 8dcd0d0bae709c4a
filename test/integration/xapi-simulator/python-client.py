"""Drives a pool through XAPI's own Python client; prints what it saw as one line of JSON.

Arguments: the URLs of two members, the second of which is the master; user; password.
"""

import json
import sys
import time

import XenAPI

member, master, user, password = sys.argv[1:]
seen = {}


def failure(call, *arguments):
    try:
        call(*arguments)
    except XenAPI.Failure as error:
        return error.details
    return []


slave = XenAPI.Session(member)
seen["slave"] = failure(slave.login_with_password, user, password, "1.0", "test")

session = XenAPI.Session(master)
seen["wrong password"] = failure(session.login_with_password, user, "wrong", "1.0", "test")[0]
session.login_with_password(user, password, "1.0", "test")
api = session.xenapi

template = api.VM.get_by_name_label("Other install media")[0]
vm = api.VM.clone(template, "from Python")
api.VM.provision(vm)
api.VM.set_memory_limits(vm, "0", "536870912", "536870912", "536870912")
seen["integers"] = api.VM.get_memory_static_max(vm)
sr = api.pool.get_default_SR(api.pool.get_all()[0])
vdi = api.VDI.create(
    {
        "name_label": "disk",
        "SR": sr,
        "virtual_size": "8388608",
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {"key": "<ä&>"},
    }
)
seen["text"] = api.VDI.get_other_config(vdi)
api.VBD.create(
    {
        "VM": vm,
        "VDI": vdi,
        "userdevice": "0",
        "bootable": True,
        "mode": "RW",
        "type": "Disk",
        "empty": False,
        "other_config": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }
)

batch = api.event_from(["vm"], "", 0.0)
task = getattr(api.Async.VM, "start")(vm, False, False)
states = set()
while "Running" not in states:
    batch = api.event_from(["vm/" + vm], batch["token"], 10.0)
    states.update(event["snapshot"]["power_state"] for event in batch["events"])
while api.task.get_status(task) == "pending":
    time.sleep(0.01)
seen["task"] = [api.task.get_status(task), api.task.get_result(task), str(api.task.get_created(task))[:2]]
api.task.destroy(task)
seen["second start"] = failure(api.VM.start, vm, False, False)[0:1]
record = api.VM.get_record(vm)
seen["types"] = {name: type(record[name]).__name__ for name in ("domid", "is_a_template", "snapshot_time", "tags")}
seen["metrics"] = type(api.VM.get_HVM_shadow_multiplier(vm)).__name__
seen["missing"] = failure(api.VM.get_record, "OpaqueRef:gone")
seen["unknown"] = failure(api.VM.nonsense)
api.VM.hard_shutdown(vm)
api.VM.destroy(vm)
seen["left"] = api.VM.get_by_name_label("from Python")
api.session.logout()
print(json.dumps(seen))
