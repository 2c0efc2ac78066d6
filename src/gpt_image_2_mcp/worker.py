"""The worker process: carries out the operations it is told of and outlives the server that told it.

On stdin: the settings, then an order a line. On stdout: a line for each operation that ended. The key comes
through the pipe, so it stands in no argument list and in no environment.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import pickle
import signal
import sys
import threading
from typing import Final

from gpt_image_2_mcp.allocating import keep_buffers
from gpt_image_2_mcp.importing import collector_off
from gpt_image_2_mcp.settings import Settings

IDLE_S: Final = 120.0
"""How long a worker without work stays for the next call."""


def main() -> None:
    """Work until the orders end and everything is done, or until there was nothing to do for a while."""
    from gpt_image_2_mcp.logs import configure_logging

    first = sys.stdin.buffer.readline()
    if not first.endswith(b"\n"):  # the server died before it had said anything
        return
    settings: Settings = pickle.loads(base64.b64decode(first))  # noqa: S301 - our own parent
    configure_logging(settings.redactor(), debug=settings.debug, timestamps=True)
    if sys.platform != "win32":
        # The end of the client's session must not end a paid call; a kill does, and recovery follows.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    keep_buffers()
    asyncio.run(work(settings))
    logging.shutdown()
    os._exit(0)  # the thread that reads orders may still be waiting for one


async def work(settings: Settings) -> None:
    """Take orders from stdin and carry them out at once, each beside the others."""
    with collector_off():
        from gpt_image_2_mcp.assembly import open_execution
        from gpt_image_2_mcp.runners.inline import InlineRunner

    orders: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_read_orders, args=(loop, orders), daemon=True).start()
    async with open_execution(settings) as execution:
        runner = InlineRunner(execution, on_end=_say_ended)
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    operation_id = await orders.get()
            except TimeoutError:
                if runner.running:
                    continue
                break
            if operation_id is None:
                break
            await runner.start(operation_id)
        await runner.close()


def _read_orders(loop: asyncio.AbstractEventLoop, orders: asyncio.Queue[str | None]) -> None:
    for line in sys.stdin.buffer:
        loop.call_soon_threadsafe(orders.put_nowait, json.loads(line)["run"])
    loop.call_soon_threadsafe(orders.put_nowait, None)


def _say_ended(operation_id: str) -> None:
    try:
        sys.stdout.write(json.dumps({"ended": operation_id}) + "\n")
        sys.stdout.flush()
    except OSError:  # the server is gone; the journal tells whoever asks
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - stands in for stdout till the end


if __name__ == "__main__":
    main()
