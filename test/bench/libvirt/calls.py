"""Finds a domain by its name and asks for its state. Arguments: URI, name, how often. Prints seconds."""

import sys
import time

import libvirt

uri, name, count = sys.argv[1:]
connection = libvirt.open(uri)
begun = time.monotonic()
for _ in range(int(count)):
    connection.lookupByName(name).state()
print(time.monotonic() - begun)
