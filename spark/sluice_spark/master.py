"""Does the master of a standalone cluster answer? Spark itself finds out in a minute."""

import socket
import threading
import time

from sluice_spark.errors import JobError

SCHEME = "spark://"
CONNECT_S, PATIENCE_S, PAUSE_S = 3, 4, 0.5  # one that is just being started again has some seconds


def addresses(master):
    """[(host, port)] of spark://a:7077,b:7077. Empty: another kind of master, or a form that is Spark's to judge."""
    found = []
    for part in master[len(SCHEME):].split(",") if master.startswith(SCHEME) else ():
        host, _, port = part.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            return []
        found.append((host.strip("[]"), int(port)))
    return found


def _ask(address, told):
    try:
        socket.create_connection(address, CONNECT_S).close()
        told[address] = None
    except OSError as e:
        told[address] = e.strerror or str(e)


def _ask_all(wanted):
    """{address: None or why it does not answer}; complete unless one answers."""
    told = {}
    threads = [threading.Thread(target=_ask, args=(a, told), daemon=True) for a in wanted]
    for t in threads:
        t.start()
    while None not in list(told.values()) and any(t.is_alive() for t in threads):
        time.sleep(0.01)
    return dict(told)


def check(master):
    """One that answers is enough: of several, one is in charge and the others wait."""
    wanted = addresses(master)
    until = time.monotonic() + PATIENCE_S
    told = _ask_all(wanted)
    while wanted and None not in told.values():
        if time.monotonic() > until:
            raise JobError("ENGINE", f"the master {master} does not answer: " +
                           "; ".join(f"{h} port {p}: {told.get((h, p), 'no answer')}" for h, p in wanted),
                           "is engine.spark.master right, does a Spark of this version run there, and may this machine reach it?")
        time.sleep(PAUSE_S)
        told = _ask_all(wanted)
