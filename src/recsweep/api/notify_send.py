"""A process that sends one notification, and ends. The only importer of apprise.

It is a process of its own: whatever a service or its client does (hangs, drips, raises, waits for its
threads), the sweep's process waits a few seconds at most, and then ends it.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Sequence

from recsweep.common.masking import mask
from recsweep.common.notify_url import NotifyUrl

SECONDS = 8.0
"""So long sending may take, whatever is at the other end."""
_STARTS_WITHIN_SECONDS = 60.0
"""So long apprise may take to be there: two seconds of a processor, which may be busy."""
_READY = "ready"
_CODE = "from recsweep.api.notify_send import main; main()"
_INSTALL = "the package apprise is missing; run `make setup`"


def send(addresses: Sequence[NotifyUrl], title: str, body: str, seconds: float = SECONDS) -> list[str]:
    """Send a text to all addresses; the troubles that there were, a line each."""
    told = json.dumps([[address.reveal() for address in addresses], title, body])
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", _CODE], text=True, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        ready, said = threading.Event(), list[str]()
        reader = threading.Thread(target=_read, args=(process, told, ready, said), daemon=True)
        reader.start()
        ready.wait(_STARTS_WITHIN_SECONDS)
        reader.join(seconds)
        late = reader.is_alive()
        process.kill()
        reader.join()
    if late:
        return [f"no answer within {seconds:g} s from {', '.join(map(str, addresses))}"]
    return [mask(line) for line in said]


def _read(process: subprocess.Popen[str], told: str, ready: threading.Event, said: list[str]) -> None:
    """Tell a process what it is to send, and hear it to its end."""
    try:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("a process without pipes")
        process.stdin.write(told)
        process.stdin.close()
        for line in process.stdout:
            if line.strip() == _READY:
                ready.set()
            else:
                said.append(line.strip())
        last = process.stderr.read().strip().splitlines()[-1:]
        said += last if process.wait() else []
    except (OSError, ValueError) as error:
        said.append(f"cannot be sent ({error})")
    finally:
        ready.set()


def main() -> None:
    """The process: what it is to send comes by a pipe; troubles are lines of standard output."""
    addresses, title, body = json.loads(sys.stdin.read())
    logging.disable(logging.CRITICAL)
    try:
        import apprise
    except ImportError:
        _say(_INSTALL)
        return
    asset = apprise.AppriseAsset(app_id="recsweep", app_desc="recsweep", async_mode=False)
    services = [(NotifyUrl(text), apprise.Apprise(asset=asset)) for text in addresses]
    unknown = [address for address, service in services if not service.add(address.reveal())]
    _say(_READY)
    for address in unknown:
        _say(f"apprise knows no service {address}")
    for address, service in services:
        if len(service) and not service.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT):
            _say(f"{address} did not take it")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
